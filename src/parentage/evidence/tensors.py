"""The first measuring pass: everything about one tensor that needs no other tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.between.distances import Distances, measure_distances
from parentage.evidence.blends.mixtures import MixtureRequest, measure_mixture
from parentage.evidence.blends.weight_sets import measure_weight_sets
from parentage.evidence.sampling.positions import seeded_rng
from parentage.evidence.sampling.reading import TensorSample, recast
from parentage.numerics.deciding import permutation
from parentage.records.absence import Absent
from parentage.records.evidence import Mixture, TensorEvidence, WeightSet

__all__ = ["CurveCounts", "MeasuredTensor", "TensorPlan", "measure_tensor", "shuffled_subject"]

# For each (subject, first, second): informative elements that allow each weight of the grid.
CurveCounts = dict[tuple[int, int, int], NDArray[np.int64]]

PERMUTATIONS = 99


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """What to explain by what; indices into the evidence's models."""

    parents: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    controls: tuple[int, ...]
    shuffled: int | None
    grid: NDArray[np.float64]
    seed: int


@dataclass(frozen=True, slots=True)
class MeasuredTensor:
    """One tensor's evidence and its contribution to the curves."""

    evidence: TensorEvidence
    curves: CurveCounts


def measure_tensor(sample: TensorSample, plan: TensorPlan) -> MeasuredTensor:
    """Measure one tensor; pure given its arguments."""
    finite = _finite(sample)
    distances = measure_distances(sample, finite, plan.parents)
    curves: CurveCounts = {}
    mixtures: list[Mixture] = []
    # Codes stand for wider intervals than their numbers' float32 cells: they are measured as codes.
    pairs = () if sample.suspect.encoding else plan.pairs
    best = _best_pair(distances, pairs, sample)
    for pair in pairs:
        _measure_pair(sample, plan, pair, pair == best, mixtures, curves)
    weights: tuple[WeightSet, ...] = ()
    if not sample.suspect.encoding:
        weights = measure_weight_sets(sample, plan.parents, mixtures, plan.controls)
    evidence = TensorEvidence(
        name=sample.name,
        role=sample.role.role,
        component=sample.role.component,
        layer=Absent("not in a layer") if sample.role.layer is None else sample.role.layer,
        shape=sample.shape,
        dtypes=tuple("" if m is None else m.stored_as for m in sample.models),
        effective_dtypes=tuple("" if m is None else m.effective.value for m in sample.models),
        elements=sample.elements,
        examined=int(sample.suspect.values.size),
        finite=distances.finite,
        spread=distances.spread,
        whole=sample.whole,
        present=tuple(i for i, m in enumerate(sample.models) if m is not None),
        equal=distances.equal,
        cast_equal=distances.cast_equal,
        correlation=distances.correlation,
        parents_all_equal=distances.parents_all_equal,
        gram=distances.gram,
        rounding=distances.rounding,
        mixtures=tuple(mixtures),
        weights=weights,
        spectra=(),
        square=distances.square,
        permutation_z=_permutation(sample, best, finite, plan.seed),
    )
    return MeasuredTensor(evidence, curves)


def _finite(sample: TensorSample) -> NDArray[np.bool_]:
    finite = np.ones(sample.suspect.values.size, dtype=bool)
    for model in sample.models:
        if model is not None:
            finite &= np.isfinite(model.values)
    return finite


def _best_pair(
    distances: Distances, pairs: tuple[tuple[int, int], ...], sample: TensorSample
) -> tuple[int, int] | None:
    """The pair whose line passes nearest to the suspect; costly likelihoods are for it alone."""
    scored = []
    for first, second in pairs:
        if sample.models[first] is None or sample.models[second] is None:
            continue
        g = distances.gram
        i, j = first - 1, second - 1
        dd = g[i][i] - 2 * g[i][j] + g[j][j]
        dm = g[j][j] - g[i][j]
        rest = g[j][j] - (dm * dm / dd if dd > 0 else 0.0)
        scored.append((rest, first, second))
    return min(scored)[1:] if scored else None


def _measure_pair(
    sample: TensorSample,
    plan: TensorPlan,
    pair: tuple[int, int],
    compare: bool,
    mixtures: list[Mixture],
    curves: CurveCounts,
) -> None:
    first, second = pair
    for subject in (0, *plan.controls):
        if subject in pair:
            continue
        measured = measure_mixture(sample, MixtureRequest(subject, first, second, compare), plan.grid)
        if measured is not None:
            mixtures.append(measured[0])
            curves[(subject, first, second)] = measured[1]
    if plan.shuffled is not None:
        values = shuffled_subject(sample, second, plan.seed)
        request = MixtureRequest(plan.shuffled, first, second, compare)
        if values is not None:
            measured = measure_mixture(sample, request, plan.grid, subject=values)
            if measured is not None:
                mixtures.append(measured[0])
                curves[(plan.shuffled, first, second)] = measured[1]


def shuffled_subject(sample: TensorSample, second: int, seed: int) -> NDArray[np.float64] | None:
    """A control when no real one was given: the suspect's own delta from ``second``, its rows (runs)
    in another order, stored again. It has the suspect's sizes and shapes and none of its parents."""
    base = sample.models[second]
    if base is None:
        return None
    with np.errstate(invalid="ignore"):
        delta = sample.suspect.values - base.values
    rows = sample.rows
    _, starts, counts = np.unique(rows, return_index=True, return_counts=True)
    order = seeded_rng(seed, "shuffled", sample.name).permutation(starts.size)
    pieces = [delta[starts[k] : starts[k] + counts[k]] for k in order]
    moved = np.concatenate(pieces) if pieces else delta
    # One run has nothing to change places with: turn it around itself.
    moved = np.roll(moved, moved.size // 3) if starts.size < 4 else moved
    with np.errstate(invalid="ignore"):  # infinities that meet: not finite, so left out
        return recast(base.values + moved, sample.suspect.effective)


def _permutation(
    sample: TensorSample,
    pair: tuple[int, int] | None,
    finite: NDArray[np.bool_],
    seed: int,
) -> float | Absent:
    """How far the cosine of the two deltas stands out of its row-permutation null."""
    if pair is None:
        return Absent("no pair of parents")
    first, second = sample.models[pair[0]], sample.models[pair[1]]
    rows = sample.rows
    width = int(np.count_nonzero(rows == rows[0])) if rows.size else 0
    if first is None or second is None or width < 2 or rows.size // width < 8:
        return Absent("fewer than eight rows")
    count = min(rows.size // width, 128)
    used = slice(0, count * width)
    if not finite[used].all():
        return Absent("values that are not finite")
    c, a, b = (v.values[used].reshape(count, width) for v in (sample.suspect, first, second))
    if not ((c - b).any() and (a - b).any()):
        return Absent("one of the deltas is zero")
    rng = seeded_rng(seed, "permutation", sample.name)
    null = permutation.row_permutation_null(
        suspect_delta=c - b, parent_delta=a - b, permutations=PERMUTATIONS, rng=rng
    )
    observed = permutation.cosine(c - b, a - b)
    spread = float(np.std(null))
    return (observed - float(np.mean(null))) / spread if spread > 0 else Absent("the null is flat")
