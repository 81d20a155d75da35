"""Replay: a merge made again is the merge; one element more or less is seen, and where."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parentage import api
from parentage.merging.recipe_reading import recipe_from_text
from parentage.methods.linear import ARITHMETICS
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.recipe import Clause
from tests.cli.running import Run
from tests.merging.models import bits_of, llama, recipe_file, write_model
from tests.merging.test_merge import linear, two
from tests.worlds.fixtures import FOLDER

KIT = FOLDER / "mergekit"


def test_a_merge_replays_as_itself_and_its_files_have_the_rebuilt_digests(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.7), (b, 0.3)))
    api.merge(path, tmp_path / "out", api.MergeOptions(shard_bytes=1500))
    found = api.replay(path, str(tmp_path / "out"))
    assert found.holds
    assert found.equal_bits == found.matches == found.elements
    assert found.informative_matches == found.informative > 0
    assert not found.unmatched
    for file in found.files:
        digest = hashlib.sha256((tmp_path / "out" / file.name).read_bytes()).hexdigest()
        assert file.rebuilt == file.found == digest


def test_mergekits_merge_is_proven_by_its_recipe(tmp_path: Path) -> None:
    models = ((KIT / "A.safetensors", 0.6), (KIT / "O.safetensors", 0.4))
    path = recipe_file(tmp_path, linear(*models, dtype="bfloat16"))
    options = api.MergeOptions(profile="mergekit-0.1.5", digests=False)
    assert api.replay(path, str(KIT / "linear.safetensors"), options).holds
    older = api.replay(path, str(KIT / "linear-0.1.4.safetensors"), options)
    # The two versions differ in more than a third of all elements for one recipe.
    assert not older.holds
    assert isinstance(older.informative_matches, int)
    assert older.informative_matches < 0.7 * older.informative


def flipped(path: Path, position: int) -> None:
    """One bit of one byte from the file's end on."""
    raw = bytearray(path.read_bytes())
    raw[-position] ^= 1
    path.write_bytes(raw)


def test_one_changed_bit_is_found_and_named(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.7), (b, 0.3)))
    api.merge(path, tmp_path / "out")
    # The last tensor's last element; little-endian, so the lowest bit is in the byte before the last.
    flipped(tmp_path / "out" / "model.safetensors", 2)
    found = api.replay(path, str(tmp_path / "out"))
    assert not found.holds
    assert isinstance(found.equal_bits, int)
    assert found.equal_bits == found.elements - 1
    off = [t for t in found.tensors if t.equal_bits != t.elements]
    assert [t.name for t in off] == ["model.norm.weight"]
    (element,) = off[0].differing
    assert element.index == off[0].elements - 1
    assert int(element.rebuilt, 16) ^ int(element.found, 16) == 1
    assert found.files[0].rebuilt != found.files[0].found


def test_tensors_that_only_one_side_has_are_named(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.7), (b, 0.3)))
    weights = llama(1)
    del weights["model.norm.weight"]
    other = write_model(tmp_path / "other", weights | {"more": np.ones(3, np.float32)})
    found = api.replay(path, str(other))
    assert not found.holds
    assert {u.tensor: u.reason for u in found.unmatched} == {
        "model.norm.weight": "the suspect has no such tensor",
        "more": "the recipe makes no such tensor",
    }
    assert isinstance(found.files[0].rebuilt, Absent)


def test_another_dtype_is_no_match_and_is_told(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.7), (b, 0.3)))
    wide = write_model(tmp_path / "wide", llama(1), dtype=DType.F32)
    found = api.replay(path, str(wide))
    assert not found.holds
    assert all("out_dtype" in u.reason for u in found.unmatched)


def test_digests_alone_are_no_proof_where_none_are_published(run: Run, tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.7), (b, 0.3)))
    done = run("replay", path, a, "--by-digest")
    assert (done.code, done.error) == (2, "replay-no-digests")


def test_the_command_ends_with_5_where_anything_differs(run: Run, tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.7), (b, 0.3)))
    assert run("merge", path, tmp_path / "out").code == 0
    same = run("replay", path, tmp_path / "out")
    assert same.code == 0
    assert "1.000000" in same.out
    flipped(tmp_path / "out" / "model.safetensors", 2)
    done = run("replay", path, tmp_path / "out")
    assert (done.code, done.error) == (5, "replay-differs")
    assert "1.000000" not in done.out


@pytest.mark.parametrize("name", ["linear", "linear-0.1.4", "linear-three", "linear-not-normalized"])
def test_the_recipe_that_an_audit_recovers_replays_exactly(name: str, run: Run, tmp_path: Path) -> None:
    parents = [KIT / f"{m}.safetensors" for m in ("ABO" if name == "linear-three" else "AO")]
    given = [part for p in parents for part in ("-p", str(p))]
    out = tmp_path / "found.yaml"
    suspect = KIT / f"{name}.safetensors"
    assert run("audit", suspect, *given, "--recipe-out", out, "--no-digests").code == 0
    assert "every element that was examined" in out.read_text()
    assert run("replay", out, suspect).code == 0


def test_no_recipe_is_written_where_none_was_found(run: Run, tmp_path: Path) -> None:
    a = write_model(tmp_path / "a", llama(1))
    alone = write_model(tmp_path / "alone", llama(5))
    out = tmp_path / "found.yaml"
    done = run("audit", alone, "-p", a, "--recipe-out", out, "--no-digests")
    assert (done.code, done.error) == (5, "recipe-not-recovered")
    assert not out.exists()


@pytest.mark.parametrize("arithmetic", [a.id for a in ARITHMETICS])
def test_every_arithmetic_of_an_audit_can_be_carried_out(arithmetic: str, tmp_path: Path) -> None:
    from parentage.methods.linear import arithmetic as named
    from parentage.numerics.storage.formats import to_float32

    a, b = two(tmp_path)
    recipe = linear((a, 0.6), (b, 0.4), dtype="float32", out_dtype="bfloat16")
    recipe |= {"parentage": {"profile": f"linear/{arithmetic}"}}
    api.merge(recipe_file(tmp_path, recipe), tmp_path / "out")
    ours, first, second = bits_of(tmp_path / "out"), bits_of(a), bits_of(b)
    for name, (_, _, data) in ours.items():
        parts = [
            to_float32(np.frombuffer(model[name][2], np.uint16), DType.BF16) for model in (first, second)
        ]
        expected = named(arithmetic).apply((0.6, 0.4), parts, out_dtype=DType.BF16)
        assert data == expected.tobytes(), name


RECIPES = st.tuples(
    st.integers(1, 99),
    st.sampled_from(["parentage-1", "mergekit-0.1.5", "linear/lerp-from-second"]),
    st.sampled_from([DType.BF16, DType.F16]),
    st.integers(0, 2**16),
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for many merges."""
    return tmp_path_factory.mktemp("recipes")


@given(RECIPES)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_recover_of_merge_of_a_recipe_is_the_recipe(room: Path, drawn: tuple[int, str, DType, int]) -> None:
    """Through the public interface: merge, audit, recovered recipe, replay."""
    percent, profile, dtype, seed = drawn
    weight = percent / 100
    folder = room / f"{percent}-{profile.replace('/', '-')}-{dtype}-{seed}"
    rng = np.random.default_rng(seed)
    base = {f"model.layers.{k}.mlp.down_proj.weight": rng.normal(0, 0.02, (96, 128)) for k in range(4)}
    moved = {n: v + rng.normal(0, 2e-3, v.shape) for n, v in base.items()}
    a = write_model(folder / "a", _single(moved), dtype=dtype)
    b = write_model(folder / "b", _single(base), dtype=dtype)
    recipe = linear((a, weight), (b, 1 - weight), parentage={"profile": profile})
    if not profile.startswith("parentage"):
        recipe["dtype"] = "float32"
        recipe["out_dtype"] = {DType.BF16: "bfloat16", DType.F16: "float16"}[dtype]
    path, out = recipe_file(folder, recipe), folder / "out"
    if not out.exists():
        api.merge(path, out, api.MergeOptions(digests=False))
    result = api.audit(str(out), parents=[str(a), str(b)], digests=False)
    found = recipe_from_text(api.render_recipe(result.evidence))
    weights = {str(s.model): s.parameters["weight"].clauses for s in found.models}
    assert api.replay(found, str(out)).holds
    assert result.report.verdict.relation == "linear-merge"
    for place, true in ((a, weight), (b, 1 - weight)):
        (clause,) = weights[str(place)]
        assert isinstance(clause, Clause)
        assert isinstance(clause.value, float)
        assert abs(clause.value - true) < 2e-4


def _single(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: value.astype(np.float32) for name, value in weights.items()}


def test_a_recovered_recipe_is_yaml_that_mergekit_reads_too(tmp_path: Path) -> None:
    parents = [str(KIT / f"{m}.safetensors") for m in "AO"]
    result = api.audit(str(KIT / "linear.safetensors"), parents=parents, digests=False)
    plain = yaml.safe_load(api.render_recipe(result.evidence))
    assert plain["merge_method"] == "linear"
    assert [m["model"] for m in plain["models"]] == parents
    assert [m["parameters"]["weight"] for m in plain["models"]] == [0.6, 0.4]
