"""Weights that mislead: the audit completes, says what it left out, and accuses nobody for it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.pinned import pin_checkpoint
from parentage.errors import ReadError
from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType
from tests.cli.running import Run
from tests.hostile.models import MATRIX, Damage, Model, blend, stored, write_family


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Any:
    """What numpy warns of would be a line on a user's terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def audited(
    run: Run, folder: Path, damage: Damage | None = None, dtype: DType = DType.BF16
) -> dict[str, Any]:
    """The report on C, and that it renders and verifies."""
    family = write_family(folder, damage, dtype)
    evidence, html = folder / "evidence.json", folder / "report.html"
    parents = ["-p", family["A"], "-p", family["O"]]
    done = run("audit", family["C"], *parents, "--json", "-", "--evidence", evidence, "--html", html)
    assert done.code == 0, done.err
    assert done.err == ""
    assert run("audit", family["C"], *parents).code == 0
    assert run("verify", evidence).code == 0
    report: dict[str, Any] = json.loads(done.out)
    return report


def relation(report: dict[str, Any]) -> tuple[str, str]:
    return report["verdict"]["relation"], report["verdict"]["status"]


def reasons(report: dict[str, Any], tensor: str = MATRIX) -> str:
    listed = report["coverage"]["not_examined"]
    return "; ".join(entry["reason"] for entry in listed if entry["tensor"] == tensor)


def values(model: Model, name: str = MATRIX) -> Any:
    return model[name]


def sprinkle(which: int, value: float) -> Damage:
    def damage(*models: Model) -> None:
        rng = np.random.default_rng(1)
        for array in models[which].values():
            assert isinstance(array, np.ndarray)
            array[rng.random(array.shape) < 0.01] = value

    return damage


@pytest.mark.parametrize("which", [0, 1, 2], ids=["base", "parent", "suspect"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "minus-inf"])
def test_numbers_that_are_not_finite_are_left_out_and_counted(
    which: int, value: float, run: Run, tmp_path: Path
) -> None:
    report = audited(run, tmp_path, sprinkle(which, value))
    assert relation(report) == ("linear-merge", "supported")
    assert "elements are NaN or infinite in one of the models and were left out" in reasons(report)
    assert report["coverage"]["elements_examined"] < report["coverage"]["elements"]
    assert report["post_training"]["status"] != "detected"


def test_infinities_that_meet_are_left_out_too(run: Run, tmp_path: Path) -> None:
    def damage(*models: Model) -> None:
        for k, model in enumerate(models):
            values(model)[0] = np.inf if k else -np.inf

    report = audited(run, tmp_path, damage)
    assert "64 elements are NaN or infinite" in reasons(report)
    assert relation(report) == ("linear-merge", "supported")


def test_a_tensor_of_nan_is_listed_and_the_others_are_judged(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        values(c)[:] = np.nan

    report = audited(run, tmp_path, damage)
    assert reasons(report).startswith("4,096 elements are NaN or infinite")
    assert relation(report) == ("linear-merge", "supported")


def test_a_suspect_of_nan_alone_is_nothing_examined(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        for array in c.values():
            assert isinstance(array, np.ndarray)
            array[:] = np.nan

    family = write_family(tmp_path, damage)
    done = run("audit", family["C"], "-p", family["A"], "-p", family["O"], "--json", tmp_path / "r.json")
    assert (done.code, done.error) == (3, "nothing-examined")
    assert json.loads((tmp_path / "r.json").read_text())["verdict"]["status"] == "undetermined"


def test_tensors_without_elements_and_single_numbers_do_no_harm(run: Run, tmp_path: Path) -> None:
    def damage(*models: Model) -> None:
        for model in models:
            model["model.empty"] = np.zeros((0, 4))
            model["model.scalar"] = np.array(1.5)

    report = audited(run, tmp_path, damage)
    assert reasons(report, "model.empty") == "it has no elements"
    assert relation(report) == ("linear-merge", "supported")


def test_a_tensor_that_no_parent_changed_is_a_copy_and_the_rest_a_merge(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        values(a)[:] = values(o)
        values(c)[:] = values(o)

    report = audited(run, tmp_path, damage)
    assert relation(report) == ("linear-merge", "supported")
    assert next(t for t in report["tensors"] if t["name"] == MATRIX)["relation"] == "copy"


@pytest.mark.slow
@pytest.mark.parametrize("scale", [pytest.param(1e30, marks=pytest.mark.slow), 1e-36])
def test_weights_of_absurd_size_are_no_mistake_of_ours(scale: float, run: Run, tmp_path: Path) -> None:
    def damage(*models: Model) -> None:
        for model in models:
            values(model)[:] *= scale

    assert audited(run, tmp_path, damage)["verdict"]["relation"] == "linear-merge"


def test_a_constant_tensor_has_no_spread_and_no_story(run: Run, tmp_path: Path) -> None:
    def damage(*models: Model) -> None:
        for model in models:
            values(model)[:] = 1.0

    assert relation(audited(run, tmp_path, damage)) == ("linear-merge", "supported")


def test_a_tensor_of_another_shape_is_listed_with_both_shapes(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        o[MATRIX] = values(o)[:32]

    report = audited(run, tmp_path, damage)
    assert "O: its shape is [32, 64], the suspect's [64, 64]" in reasons(report)
    assert relation(report) == ("linear-merge", "supported")


def test_models_that_share_no_shape_are_one_clear_error(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        for name in list(o):
            o[name], a[name] = values(o, name)[:32], values(a, name)[:, :16]

    family = write_family(tmp_path, damage)
    done = run("audit", family["C"], "-p", family["A"], "-p", family["O"])
    assert (done.code, done.error) == (3, "nothing-aligned")
    assert done.out == ""


def test_one_tensor_in_three_dtypes_is_compared_by_value(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        o[MATRIX] = stored(values(o), DType.F32)
        a[MATRIX] = stored(values(a), DType.F64)

    report = audited(run, tmp_path, damage)
    assert relation(report) == ("linear-merge", "supported")
    told = next(t for t in report["tensors"] if t["name"] == MATRIX)
    assert told["consistency"] == 1.0


def test_a_weight_that_is_a_whole_number_elsewhere_is_not_compared(run: Run, tmp_path: Path) -> None:
    def damage(o: Model, a: Model, c: Model) -> None:
        o[MATRIX] = StoredTensor(DType.I8, (64, 64), np.zeros(4096, np.uint8))

    report = audited(run, tmp_path, damage)
    assert "O: its dtype is I8, the suspect's BF16" in reasons(report)


FLOATS = [DType.F8_E4M3, DType.F8_E5M2, DType.F16, DType.BF16, DType.F32, DType.F64]


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_merge_stored_in_any_float_is_recovered(dtype: DType, run: Run, tmp_path: Path) -> None:
    def coarser(o: Model, a: Model, c: Model) -> None:
        # With eight bits a step is an eighth of the weight: the parents must differ by steps.
        for name in o if dtype.itemsize == 1 else ():
            first, second = values(a, name).ravel(), values(o, name).ravel()
            first = quantize(second + 8 * (first - second), dtype)
            a[name], c[name] = first.reshape(64, 64), blend(first, second, dtype).reshape(64, 64)

    report = audited(run, tmp_path, coarser, dtype)
    assert relation(report) == ("linear-merge", "supported")
    weight = next(p["weight"] for p in report["verdict"]["parents"] if p["name"] == "A")
    assert weight["low"] <= 0.6 <= weight["high"]
    assert report["replay"]["match"] == 1.0
    assert report["post_training"]["status"] == "not-detected"


@pytest.mark.parametrize("dtype", [DType.I8, DType.U8, DType.I32, DType.I64, DType.BOOL])
def test_a_buffer_of_whole_numbers_or_truth_values_is_hashed_and_said_to_be_no_weight(
    dtype: DType, run: Run, tmp_path: Path
) -> None:
    def damage(*models: Model) -> None:
        for model in models:
            model["model.buffer"] = stored(values(model), dtype)

    report = audited(run, tmp_path, damage)
    assert reasons(report, "model.buffer") == f"{dtype.value}: not a weight, only hashed"
    assert relation(report) == ("linear-merge", "supported")


def test_models_of_whole_numbers_alone_are_nothing_examined(run: Run, tmp_path: Path) -> None:
    family = write_family(tmp_path, None, DType.BF16)

    def whole(*models: Model) -> None:
        for model in models:
            for name in model:
                model[name] = stored(values(model, name), DType.I8)

    family = write_family(tmp_path, whole)
    done = run("audit", family["C"], "-p", family["A"], "-p", family["O"])
    assert (done.code, done.error) == (3, "nothing-examined")
    assert "not a weight, only hashed" in done.out


@pytest.mark.parametrize(
    "suffix",
    [
        "weight_scale",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("weight_scale_inv", "scale_weight")),
    ],
)
def test_scales_that_are_not_applied_are_a_stated_limit(suffix: str, run: Run, tmp_path: Path) -> None:
    def damage(*models: Model) -> None:
        for model in models:
            model[MATRIX] = stored(values(model), DType.F8_E4M3)
            model[MATRIX.replace("weight", suffix)] = stored(np.ones(4), DType.F32)

    notes = audited(run, tmp_path, damage)["notes"]
    for name in "COA":
        assert any(n.startswith(f"{name}: the scales of tensors in 8 bits") and MATRIX in n for n in notes)


def test_files_that_were_not_read_are_a_stated_limit(run: Run, tmp_path: Path) -> None:
    family = write_family(tmp_path)
    for k in range(20):
        (family["A"] / f"x{k}.safetensors").write_bytes(b"")
    done = run("audit", family["C"], "-p", family["A"], "-p", family["O"], "--json", "-")
    notes = [n for n in json.loads(done.out)["notes"] if n.startswith("A: ")]
    assert notes[0] == "A: x0.safetensors: not read beside model.safetensors"
    assert notes[-1] == "A: and 12 more oddities, which inspect lists"


def test_norms_of_ones_and_biases_of_zeros_make_no_copy_of_a_stranger(run: Run, tmp_path: Path) -> None:
    """Two models of different width meet only in what every fresh model has."""

    def damage(o: Model, a: Model, c: Model) -> None:
        for name in list(o):
            o[name] = values(o, name)[:32]
        for model in (o, a, c):
            model["model.norm.weight"], model["model.q_proj.bias"] = np.ones(64), np.zeros(64)

    family = write_family(tmp_path, damage)
    for roles in (["-p", family["O"]], ["-p", family["A"], "-c", family["O"]]):
        done = run("audit", family["C"], *roles, "--json", "-")
        report = json.loads(done.out)
        assert report["verdict"]["relation"] not in ("copy", "cast-copy"), report["verdict"]["sentence"]
        assert "O" not in [p["name"] for p in report["verdict"]["parents"]]


HOSTILE = "\x1b[2Jmodel.[bold]layers[/].0.\u202eq_proj.weight\n"
Rename = Callable[[Model], None]


def test_a_hostile_tensor_name_is_shown_by_its_escapes_everywhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a narrow terminal a table breaks the name over lines.
    monkeypatch.setenv("COLUMNS", "160")

    def damage(*models: Model) -> None:
        for model in models:
            model[HOSTILE] = model.pop(MATRIX)
        models[0][HOSTILE] = values(models[0], HOSTILE)[:32]

    family = write_family(tmp_path, damage)
    html = tmp_path / "report.html"
    said = [
        run("audit", family["C"], "-p", family["A"], "-p", family["O"], "--html", html),
        run("inspect", family["C"]),
        run("diff", family["C"], family["O"]),
    ]
    for done in said:
        assert done.code == 0, done.err
        for hidden in ("\x1b", "\u202e"):
            assert hidden not in done.out + done.err
        assert "[bold]layers[/]" in done.out
    page = html.read_text()
    assert "\x1b" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize("other", ["longer", "renamed"])
def test_a_worker_elsewhere_refuses_a_file_that_is_not_the_one_examined(tmp_path: Path, other: str) -> None:
    path = tmp_path / "m.safetensors"
    bits = np.arange(64, dtype=np.uint16)
    write_safetensors(path, {"w": StoredTensor(DType.BF16, (64,), bits)})
    with open_checkpoint(path) as checkpoint:
        pinned = pin_checkpoint(checkpoint)
    name, count = ("w", 72) if other == "longer" else ("v", 64)
    write_safetensors(path, {name: StoredTensor(DType.BF16, (count,), np.zeros(count, np.uint16))})
    with pytest.raises(ReadError) as raised:
        pinned.open()
    assert raised.value.code == "pinned-changed"
