"""Quantised copies are told from copies of relatives, and merges are seen through their scales; what is
neither is called neither.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import EvidenceError
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.estimate import Estimate
from parentage.records.quantized import Quantized
from tests.worlds.quantised import FORMATS, Planted, family, write_plain, write_quantised

DELTAS = {"A": 0.03, "B": 0.01, "C": 0.03, "D": 0.03}


@cache
def models() -> dict[str, Planted]:
    return family(17, deltas=DELTAS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("plain")
    return {name: write_plain(folder / name, model) for name, model in models().items()}


def blend(weight: float, first: str, second: str) -> Planted:
    a, b = models()[first], models()[second]
    w, rest = np.float32(weight), np.float32(1 - weight)
    return {n: w * a[n] + rest * b[n] for n in a}


def found(result: api.AuditResult) -> Quantized:
    assert isinstance(result.evidence.quantized, Quantized)
    return result.evidence.quantized


def audit(suspect: str, *parents: str, controls: tuple[str, ...] = ()) -> api.AuditResult:
    return api.audit(suspect, parents=parents, controls=controls, digests=False, workers=1)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_quantised_copy_is_proven_code_by_code(
    format_: str, plain: dict[str, str], tmp_path: Path
) -> None:
    suspect = write_quantised(tmp_path / "q", models()["A"], format_)
    result = audit(suspect, plain["O"], plain["A"], plain["B"])
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("quantized-copy", "supported")
    assert [p.name for p in verdict.parents] == ["A"]
    for tensor in found(result).tensors:
        assert tensor.matches[1] == tensor.codes
        assert max(tensor.matches[0], tensor.matches[2]) < 0.99 * tensor.codes
        assert tensor.scales == tensor.scale_matches[1] > 0
        assert tensor.moved_matches < tensor.codes
    assert {t.relation for t in result.report.tensors if "norm" not in t.name} == {"quantized-copy"}


@pytest.mark.parametrize("format_", FORMATS)
def test_a_merge_that_was_quantised_is_seen_through_its_scales(
    format_: str, plain: dict[str, str], tmp_path: Path
) -> None:
    suspect = write_quantised(tmp_path / "q", blend(0.6, "A", "O"), format_)
    result = audit(suspect, plain["A"], plain["O"], controls=(plain["C"],))
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported"), verdict
    assert "quantised afterwards" in verdict.sentence
    weight = verdict.parents[0].weight
    assert isinstance(weight, Estimate)
    assert weight.low <= 0.6 <= weight.high
    assert weight.estimate == pytest.approx(0.6, abs=1e-9)
    assert weight.high - weight.low < 0.05
    assert result.report.post_training.status == "not-detected"
    shown = found(result).blend
    assert not isinstance(shown, Absent)
    assert shown.controls[0].consistency < 0.99
    assert not isinstance(result.report.replay, Absent)
    assert result.report.replay.match == 1.0
    assert result.report.replay.informative_elements > 1000


@pytest.mark.parametrize("stored", [DType.BF16, DType.F16])
@pytest.mark.parametrize("format_", ["Q8_0", "Q4_1", "int8-channel", "fp8-tile"])
def test_a_merge_stored_in_sixteen_bits_before_it_was_quantised_is_replayed_so(
    format_: str, stored: DType, plain: dict[str, str], tmp_path: Path
) -> None:
    merged = {
        n: to_float32(round_to(w.reshape(-1), stored), stored).reshape(w.shape)
        for n, w in blend(0.6, "A", "B").items()
    }
    suspect = write_quantised(tmp_path / "q", merged, format_)
    result = audit(suspect, plain["A"], plain["B"])
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported"), verdict
    assert verdict.parents[0].weight.estimate == pytest.approx(0.6, abs=1e-9)
    shown = found(result).blend
    assert not isinstance(shown, Absent)
    assert not isinstance(shown.replay, Absent)
    told = {shown.replay.stored, *(w.rsplit(", ", 1)[1] for w in shown.replay.indistinguishable)}
    assert stored.value in told


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", ["D", "B"])
def test_a_quantised_fine_tune_of_its_own_is_neither_copy_nor_merge(
    format_: str, name: str, plain: dict[str, str], tmp_path: Path
) -> None:
    suspect = write_quantised(tmp_path / "q", models()[name], format_)
    result = audit(suspect, plain["O"], plain["A"], plain["C"])
    verdict = result.report.verdict
    supported = verdict.relation if verdict.status == "supported" else ""
    assert supported in ("", "fine-tune")
    if supported:
        assert [p.name for p in verdict.parents] == ["O"]


def test_a_merge_with_later_change_is_not_said_to_be_unchanged(
    plain: dict[str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    changed = {
        n: (w + rng.normal(0, 0.003 * float(np.std(w)), w.shape)).astype(np.float32)
        for n, w in blend(0.6, "A", "O").items()
    }
    suspect = write_quantised(tmp_path / "q", changed, "Q8_0")
    result = audit(suspect, plain["A"], plain["O"])
    assert result.report.verdict.status != "supported" or result.report.verdict.relation != "linear-merge"


def test_with_a_single_parent_the_limits_say_that_nothing_else_was_replayed(
    plain: dict[str, str], tmp_path: Path
) -> None:
    suspect = write_quantised(tmp_path / "q", models()["A"], "Q8_0")
    verdict = audit(suspect, plain["A"]).report.verdict
    assert (verdict.relation, verdict.status) == ("quantized-copy", "supported")
    assert any("No other model was replayed" in limit for limit in verdict.limits)


def test_two_parents_too_near_for_the_format_leave_it_open(tmp_path: Path) -> None:
    near = family(5, deltas={"A": 1e-7})
    parents = [write_plain(tmp_path / name, model) for name, model in near.items()]
    suspect = write_quantised(tmp_path / "q", near["A"], "Q4_0")
    verdict = audit(suspect, *parents).report.verdict
    assert verdict.status == "undetermined"
    assert any("too coarse to tell" in str(r.why_excluded) for r in verdict.rivals)


def test_norms_that_were_trained_are_no_part_of_a_copy(plain: dict[str, str], tmp_path: Path) -> None:
    model = dict(models()["A"])
    model["model.norm.weight"] = model["model.norm.weight"] * np.float32(1.01)
    suspect = write_quantised(tmp_path / "q", model, "Q8_0")
    verdict = audit(suspect, plain["A"], plain["O"]).report.verdict
    assert (verdict.relation, verdict.status) != ("quantized-copy", "supported")


def decoded(place: str) -> Planted:
    with open_checkpoint(place) as checkpoint:
        return {
            n: checkpoint.read(t, 0, t.elements).view(np.float32).reshape(t.shape)
            for n, t in checkpoint.tensors.items()
        }


def test_what_was_dequantised_is_a_copy_in_another_format(tmp_path: Path) -> None:
    suspect = write_quantised(tmp_path / "q", models()["A"], "Q4_1")
    wide = write_plain(tmp_path / "wide", decoded(suspect))
    narrow = write_plain(tmp_path / "narrow", decoded(suspect), DType.BF16)
    relations = {place: audit(place, suspect).report.verdict.relation for place in (wide, narrow)}
    assert relations == {wide: "cast-copy", narrow: "cast-copy"}


@pytest.mark.parametrize("format_", ["Q8_0", "Q4_0"])
def test_codes_are_proven_by_their_scales_where_the_parents_numbers_are_the_codes_own(
    format_: str, tmp_path: Path
) -> None:
    suspect = write_quantised(tmp_path / "q", models()["A"], format_)
    parent = write_plain(tmp_path / "plain", decoded(suspect))
    result = audit(suspect, parent)
    shown = found(result)
    # Numbers in the middle of their cells: a thousandth of a deviation moves no code, but scales.
    assert all(t.moved_matches == t.codes == t.matches[0] for t in shown.tensors)
    assert all(t.scale_matches[0] == t.scales for t in shown.tensors)
    assert all(t.moved_scale_matches < t.scales for t in shown.tensors)
    assert (result.report.verdict.relation, result.report.verdict.status) == ("quantized-copy", "supported")


def test_what_was_dequantised_and_quantised_anew_is_a_quantised_copy(tmp_path: Path) -> None:
    parent = write_quantised(tmp_path / "q", models()["A"], "Q4_1")
    original = write_plain(tmp_path / "plain", models()["A"])
    suspect = write_quantised(tmp_path / "anew", decoded(parent), "Q8_0")
    verdict = audit(suspect, parent, original).report.verdict
    assert (verdict.relation, verdict.status) == ("quantized-copy", "supported")
    assert [p.name for p in verdict.parents] == ["q/model.gguf"]


def test_threads_do_not_move_the_evidence(plain: dict[str, str], tmp_path: Path) -> None:
    suspect = write_quantised(tmp_path / "q", blend(0.6, "A", "O"), "Q8_0")
    one, four = (
        api.audit(suspect, parents=[plain["A"], plain["O"]], digests=False, workers=w).evidence.quantized
        for w in (1, 4)
    )
    assert one == four


def test_saved_evidence_of_codes_is_judged_the_same(plain: dict[str, str], tmp_path: Path) -> None:
    suspect = write_quantised(tmp_path / "q", blend(0.6, "A", "O"), "Q8_0")
    result = audit(suspect, plain["A"], plain["O"])
    api.save_evidence(result.evidence, tmp_path / "evidence.json")
    assert api.load_report(tmp_path / "evidence.json").verdict == result.report.verdict


@pytest.fixture(scope="module")
def saved(plain: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    suspect = write_quantised(folder / "q", blend(0.6, "A", "O"), "Q8_0")
    result = audit(suspect, plain["A"], plain["O"], controls=(plain["C"],))
    api.save_evidence(result.evidence, folder / "evidence.json")
    return folder / "evidence.json"


def test_codes_are_measured_again_by_verify(saved: Path) -> None:
    assert api.verify(saved).holds


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("tensors", 0, "matches"), [1, 2]),
        (("tensors", 0, "moved_matches"), 10**9),
        (("tensors", 0, "present"), [9]),
        (("tensors", 0, "step"), -1.0),
        (("blend", "parents"), [1, 99]),
        (("blend", "consistent"), 10**9),
        (("blend", "replay", "weights"), [0.6]),
        (("blend", "replay", "tensors", 0, "matches"), 10**9),
        (("blend", "controls", 0, "model"), -1),
    ],
    ids=lambda item: "-".join(map(str, item)) if isinstance(item, tuple) else "",
)
def test_evidence_of_codes_that_contradicts_itself_is_refused(
    place: tuple[str | int, ...], value: object, saved: Path, tmp_path: Path
) -> None:
    plain_file = json.loads(saved.read_text())
    inner = plain_file["quantized"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "changed.json").write_text(json.dumps(plain_file))
    with pytest.raises(EvidenceError) as caught:
        api.load_evidence(tmp_path / "changed.json")
    assert caught.value.code == "evidence-inconsistent"


ONE, MORE = (0.5, 0.3, 0.2), (0.6, 0.3, 0.2)


@pytest.mark.parametrize(
    ("format_", "weights"),
    [
        ("Q8_0", ONE),
        pytest.param("int4-group", MORE, marks=pytest.mark.slow),
        pytest.param("int4-group", ONE, marks=pytest.mark.slow),
        pytest.param("Q8_0", MORE, marks=pytest.mark.slow),
    ],
)
def test_a_merge_of_three_that_was_quantised_has_each_weight(
    format_: str, weights: tuple[float, ...], plain: dict[str, str], tmp_path: Path
) -> None:
    parts = [models()[n] for n in ("A", "C", "O")]
    blended = {
        n: sum((np.float32(w) * p[n] for w, p in zip(weights, parts, strict=True)), np.float32(0))
        for n in parts[0]
    }
    suspect = write_quantised(tmp_path / "q", blended, format_)
    result = audit(suspect, plain["A"], plain["C"], plain["O"], controls=(plain["D"],))
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported"), verdict
    told = {p.name: p.weight for p in verdict.parents}
    for name, true in zip("ACO", weights, strict=True):
        weight = told[name]
        assert isinstance(weight, Estimate)
        assert weight.low <= true <= weight.high
        assert weight.estimate == pytest.approx(true, abs=0.02)


def test_weights_that_differ_by_tensor_are_told(plain: dict[str, str], tmp_path: Path) -> None:
    own = (0.3, 0.45, 0.6, 0.7)
    blended = dict(models()["A"])
    for k, weight in enumerate(own):
        name = f"model.layers.{k}.mlp.up_proj.weight"
        blended[name] = blend(weight, "A", "O")[name]
    suspect = write_quantised(tmp_path / "q", blended, "Q8_0")
    result = audit(suspect, plain["A"], plain["O"], controls=(plain["C"],))
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported"), verdict
    weight = verdict.parents[0].weight
    assert isinstance(weight, Estimate)
    assert (weight.low, weight.high) == pytest.approx((0.3, 0.7), abs=1e-9)
    shown = found(result).blend
    assert not isinstance(shown, Absent)
    assert not isinstance(shown.replay, Absent)
    assert [t.weights[0] for t in shown.replay.tensors] == pytest.approx(own, abs=1e-9)


def test_tensors_that_were_changed_before_the_quantiser_are_told_from_the_blend(
    plain: dict[str, str], tmp_path: Path
) -> None:
    changed = dict(blend(0.6, "A", "O"))
    name = "model.layers.2.mlp.up_proj.weight"
    noise = np.random.default_rng(3).normal(0, 0.01 * float(np.std(changed[name])), changed[name].shape)
    changed[name] = (changed[name] + noise).astype(np.float32)
    suspect = write_quantised(tmp_path / "q", changed, "Q8_0")
    result = audit(suspect, plain["A"], plain["O"], controls=(plain["C"],))
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported"), verdict
    assert verdict.parents[0].weight.estimate == pytest.approx(0.6, abs=1e-9)
    shown = found(result).blend
    assert not isinstance(shown, Absent)
    assert shown.off == (name,)
    assert result.report.post_training.status == "undetermined"
    assert any(name in limit for limit in verdict.limits)


RUN = Path(__file__).parents[1] / "fixtures" / "training-run"


@pytest.mark.parametrize("name", ["step-360", "merge", pytest.param("ema", marks=pytest.mark.slow)])
def test_checkpoints_and_averages_of_a_run_are_no_merges_through_codes(name: str, tmp_path: Path) -> None:
    with open_checkpoint(RUN / f"{name}.safetensors") as checkpoint:
        model = {
            n: to_float32(checkpoint.read(t, 0, t.elements), t.dtype).reshape(t.shape)
            for n, t in checkpoint.tensors.items()
        }
    suspect = write_quantised(tmp_path / "q", model, "Q4_0")
    verdict = audit(suspect, str(RUN / "end.safetensors"), str(RUN / "base.safetensors")).report.verdict
    assert ((verdict.relation, verdict.status) == ("linear-merge", "supported")) == (name == "merge")


def test_codes_too_coarse_for_what_lies_off_the_line_leave_it_open(tmp_path: Path) -> None:
    near = family(5, deltas={"A": 1e-3}, rows=32)
    w, rest = np.float32(0.5), np.float32(0.5)
    blended = {n: w * near["A"][n] + rest * near["O"][n] for n in near["O"]}
    parents = [write_plain(tmp_path / name, near[name]) for name in ("A", "O")]
    suspect = write_quantised(tmp_path / "q", blended, "Q4_0")
    verdict = audit(suspect, *parents).report.verdict
    assert verdict.status == "undetermined"
