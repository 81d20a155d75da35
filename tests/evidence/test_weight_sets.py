"""Sets of parents from files to weights: ranges, later change, candidates for the replay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage import api
from parentage.architectures.roles import role_of
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.evidence.blends.set_weights import own_candidates, set_candidates
from parentage.evidence.blends.weight_sets import measure_weight_sets
from parentage.evidence.sampling.reading import ModelSlice, TensorSample
from parentage.methods.linear import arithmetic
from parentage.numerics.storage.formats import quantize, round_to, to_float64
from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.dtypes import DType
from parentage.records.evidence import Evidence, Replay
from parentage.records.weight_sets import SetComparison, WeightSet

Floats = NDArray[np.float64]
SD, WIDTH = 0.02, 128
NAMES = ("model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.up_proj.weight")


def siblings(seed: int, count: int, rows: int = 64, relative: float = 0.01) -> list[Floats]:
    rng = np.random.default_rng(seed)
    base = quantize(rng.normal(0.0, SD, rows * WIDTH), DType.BF16)
    return [quantize(base + rng.normal(0.0, relative * SD, base.size), DType.BF16) for _ in range(count)]


def merged(parents: Sequence[Floats], weights: Sequence[float], rule: str = "fp32-fma") -> Floats:
    operands = [p.astype(np.float32) for p in parents]
    return to_float64(arithmetic(rule).apply(weights, operands, out_dtype=DType.BF16), DType.BF16)


def changed(seed: int, merge: Floats, sigma: float = 1e-3) -> Floats:
    rng = np.random.default_rng([seed, 1])
    return quantize(merge + rng.normal(0.0, sigma * SD, merge.size), DType.BF16)


def sample(suspect: Floats, models: Sequence[Floats], dtype: DType = DType.BF16) -> TensorSample:
    slices = [ModelSlice(suspect, dtype, dtype), *(ModelSlice(m, DType.BF16, DType.BF16) for m in models)]
    rows = (np.arange(suspect.size) // WIDTH).astype(np.int32)
    shape = (suspect.size // WIDTH, WIDTH)
    return TensorSample(NAMES[0], role_of(NAMES[0]), shape, suspect.size, True, rows, tuple(slices))


def measured(
    suspect: Floats, models: Sequence[Floats], controls: Sequence[int] = ()
) -> tuple[WeightSet, ...]:
    parents = tuple(i for i in range(1, len(models) + 1) if i not in controls)
    return measure_weight_sets(sample(suspect, models), parents, (), controls)


def comparison(found: WeightSet) -> SetComparison:
    assert isinstance(found.comparison, SetComparison), found.comparison.reason
    return found.comparison


def test_a_pure_merge_of_three_has_ranges_and_nothing_to_compare() -> None:
    parents = siblings(1, 3)
    (found,) = measured(merged(parents, [0.5, 0.3, 0.2]), parents)
    assert found.feasible
    assert found.estimate == pytest.approx((0.5, 0.3, 0.2), abs=1e-4)
    assert all(a <= w <= b for a, w, b in zip(found.low, (0.5, 0.3, 0.2), found.high, strict=True))
    assert found.sum_low <= 1 <= found.sum_high
    assert found.sum_high - found.sum_low < 1e-4
    assert isinstance(found.comparison, Absent)


@pytest.mark.parametrize("weights", [(0.6, 0.5), (0.6015625, 0.400390625)])
def test_two_parents_are_a_set_when_their_weights_miss_one(weights: tuple[float, float]) -> None:
    parents = siblings(2, 2)
    (found,) = measured(merged(parents, weights, "fp32-sum"), parents)
    assert found.feasible
    assert found.estimate == pytest.approx(weights, abs=1e-4)
    assert found.sum_low > 1


@pytest.mark.slow
def test_a_later_change_is_compared_with_a_lead_over_each_parent_left_out() -> None:
    parents = siblings(3, 3)
    (found,) = measured(changed(3, merged(parents, [0.5, 0.3, 0.2])), parents)
    both = comparison(found)
    assert not found.feasible
    assert both.weights == pytest.approx((0.5, 0.3, 0.2), abs=0.005)
    assert both.scale == pytest.approx(1e-3 * SD, rel=0.1)
    assert both.delta_ll > 100
    assert min(both.drops) > 100
    assert max(abs(c) for c in both.correlations) < 0.1
    assert both.merge_dtype == "BF16"


def test_a_change_after_a_merge_of_two_is_left_to_their_line() -> None:
    parents = siblings(4, 3)
    (found,) = measured(changed(4, merged(parents[:2], [0.6, 0.4])), parents)
    assert isinstance(found.comparison, Absent)
    assert "two of the parents" in found.comparison.reason


@pytest.mark.slow
def test_controls_walk_the_same_path_and_do_not_pass() -> None:
    models = siblings(5, 4)
    own, control = measured(changed(5, merged(models[:3], [0.5, 0.3, 0.2])), models, controls=[4])
    assert (own.subject, control.subject) == (0, 4)
    assert comparison(own).delta_ll > 100
    assert comparison(control).delta_ll < 10


@pytest.mark.slow
def test_a_blend_stored_in_bf16_and_published_in_float32_shows_its_grid() -> None:
    parents = siblings(6, 3)
    rng = np.random.default_rng(6)
    merge = merged(parents, [0.5, 0.3, 0.2])
    c = (merge + rng.normal(0.0, 1e-3 * SD, merge.size)).astype(np.float32).astype(np.float64)
    (found,) = measure_weight_sets(sample(c, parents, DType.F32), (1, 2, 3), (), ())
    both = comparison(found)
    assert both.merge_dtype == "BF16"
    assert both.weights == pytest.approx((0.5, 0.3, 0.2), abs=0.005)


def test_too_few_elements_make_no_set() -> None:
    parents = siblings(7, 3, rows=1)
    assert measured(merged(parents, [0.5, 0.3, 0.2]), parents) == ()


@pytest.mark.slow
def test_a_set_survives_its_file_and_an_older_file_is_read_as_not_measured() -> None:
    parents = siblings(8, 3)
    (found,) = measured(changed(8, merged(parents, [0.5, 0.3, 0.2])), parents)
    plain = json.loads(json.dumps(to_plain(found)))
    assert from_plain(WeightSet, plain) == found
    del plain["comparison"], plain["subject"]
    older = from_plain(WeightSet, plain)
    assert isinstance(older.comparison, Absent)
    assert older.subject == 0


def evidence_of(
    folder: Path, models: Mapping[str, Sequence[Floats]], parents: Sequence[str], base: str | None = None
) -> Evidence:
    places = {}
    for name, tensors in models.items():
        places[name] = folder / name / "model.safetensors"
        stored = {
            tensor: StoredTensor(DType.BF16, (values.size // WIDTH, WIDTH), round_to(values, DType.BF16))
            for tensor, values in zip(NAMES, tensors, strict=True)
        }
        write_safetensors(places[name], stored)
    return api.audit(
        str(places["suspect"]),
        parents=[str(places[p]) for p in parents],
        base=None if base is None else str(places[base]),
        workers=1,
        digests=False,
    ).evidence


def best(evidence: Evidence) -> Replay:
    return next(r for r in evidence.replays if r.subject == 0)


@pytest.mark.slow
def test_an_older_tools_three_parents_are_found_by_replay_alone(tmp_path: Path) -> None:
    first, second = siblings(9, 3), siblings(10, 3)
    suspect = [merged(p, [0.5, 0.3, 0.2], "mergekit-0.1.4") for p in (first, second)]
    models = {"suspect": suspect, **{n: [first[k], second[k]] for k, n in enumerate("ABO")}}
    evidence = evidence_of(tmp_path, models, "ABO")
    assert not any(w.feasible for t in evidence.tensors for w in t.weights)
    replay = best(evidence)
    assert replay.weights == (0.5, 0.3, 0.2)
    assert replay.arithmetic == "mergekit-0.1.4"
    assert replay.informative_matches == replay.informative > 0


def test_a_parent_of_weight_zero_is_no_parent(tmp_path: Path) -> None:
    first, second = siblings(11, 3), siblings(12, 3)
    suspect = [merged(p[:2], [0.6, 0.4]) for p in (first, second)]
    models = {"suspect": suspect, **{n: [first[k], second[k]] for k, n in enumerate("ABC")}}
    replay = best(evidence_of(tmp_path, models, "ABC"))
    assert replay.parents == (1, 2)
    assert replay.weights == (0.6, 0.4)
    assert replay.informative_matches == replay.informative


def test_a_tensor_that_alone_deviates_gets_weights_of_its_own(tmp_path: Path) -> None:
    first, second = siblings(13, 3), siblings(14, 3)
    suspect = [merged(first, [0.5, 0.3, 0.2]), merged(second, [0.2, 0.2, 0.6])]
    models = {"suspect": suspect, **{n: [first[k], second[k]] for k, n in enumerate("ABO")}}
    replay = best(evidence_of(tmp_path, models, "ABO"))
    assert {t.weights for t in replay.tensors} == {(0.5, 0.3, 0.2), (0.2, 0.2, 0.6)}
    assert all(t.matches == t.examined for t in replay.tensors)


def test_three_parents_beside_a_base_of_weight_zero_are_reported_whole(tmp_path: Path) -> None:
    first, second = siblings(15, 4), siblings(16, 4)
    suspect = [merged(p[:3], [0.5, 0.3, 0.2]) for p in (first, second)]
    models = {"suspect": suspect, **{n: [first[k], second[k]] for k, n in enumerate("ABCO")}}
    replay = best(evidence_of(tmp_path, models, "ABC", base="O"))
    assert replay.parents == (1, 2, 3)
    assert replay.weights == (0.5, 0.3, 0.2)


def test_eight_parents_are_replayed_to_the_bit(tmp_path: Path) -> None:
    weights = [0.25, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05, 0.05]
    first, second = siblings(17, 8, rows=96), siblings(18, 8, rows=96)
    suspect = [merged(p, weights) for p in (first, second)]
    models = {"suspect": suspect, **{n: [first[k], second[k]] for k, n in enumerate("ABCDEFGH")}}
    replay = best(evidence_of(tmp_path, models, "ABCDEFGH"))
    assert replay.weights == tuple(weights)
    assert replay.informative_matches == replay.informative


def test_candidates_are_few_and_the_truth_is_the_first() -> None:
    parents = siblings(19, 3)
    sets = measured(merged(parents, [0.5, 0.3, 0.2]), parents)
    found = set_candidates(sets)
    assert found[0] == ((1, 2, 3), (0.5, 0.3, 0.2))
    assert len(found) <= 200
    assert own_candidates(sets, (1, 2, 3))[0] == found[0]
    assert own_candidates(sets, (1, 4)) == []
    assert set_candidates([]) == []


def test_weights_that_were_stored_in_bf16_are_among_the_first() -> None:
    parents = siblings(21, 2)
    sets = measured(merged(parents, [0.6015625, 0.400390625], "fp32-sum"), parents)
    assert ((1, 2), (0.6015625, 0.400390625)) in set_candidates(sets)[:10]


@pytest.mark.slow
def test_near_estimates_of_a_sum_of_one_every_candidate_sums_to_one() -> None:
    parents = siblings(20, 3)
    found = set_candidates(measured(changed(20, merged(parents, [0.5, 0.3, 0.2])), parents))
    assert ((1, 2, 3), (0.5, 0.3, 0.2)) in found[:10]
    sums = [sum(weights) for _, weights in found]
    assert sums == pytest.approx([1.0] * len(sums), abs=2e-3)


def test_tensors_that_share_no_weights_do_not_invent_some() -> None:
    first, second = siblings(22, 3), siblings(23, 3)
    sets = (
        *measured(merged(first, [0.5, 0.3, 0.2]), first),
        *measured(merged(second, [0.2, 0.2, 0.6]), second),
    )
    weights = [w for _, w in set_candidates(sets)]
    assert (0.5, 0.3, 0.2) in weights or (0.2, 0.2, 0.6) in weights
    assert all(min(w) > 0.1 for w in weights)
