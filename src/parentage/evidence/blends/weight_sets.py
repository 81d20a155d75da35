"""Weights of two to eight parents on one tensor, their sum not assumed to be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.blends.mixtures import (
    MINIMUM_INFORMATIVE,
    averaged,
    cast_operand,
    likelihood_elements,
    plausible_casts,
)
from parentage.evidence.sampling.reading import ModelSlice, TensorSample, recast
from parentage.numerics.deciding.merge_test import coarse_step
from parentage.numerics.deciding.merge_test_many import ManyComparison, compare_many, gain_over_pairs
from parentage.numerics.feasible import programme
from parentage.numerics.storage.cells import (
    Cells,
    Written,
    as_written,
    mostly_as_stored,
    rounding_cells,
)
from parentage.numerics.storage.formats import round_to
from parentage.numerics.training.change_size import ChangeSize, size_around_blend
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import Mixture
from parentage.records.weight_sets import TOO_COARSE, SetComparison, WeightSet

__all__ = ["measure_weight_sets"]

# Constraints for the linear programme: 4,096 pin a weight to about 1e-4 at usual deltas, these to 1e-5.
PROGRAMME_ELEMENTS = 65_536
# Elements for a first look at the likelihoods: what it decides differs by tens on so many.
QUICK_ELEMENTS = 2_048
# More parents, or a free sum, are worth their own test where they explain more than a pair by this much, or
# where a pair's own grid leads by it: one parent's share may pass for a change of the others' blend.
WORTH_COMPARING = 10.0
TWO_SUFFICE = Absent("two of the parents, their weights summing to one, explain it as well")
# A control is put through the test where the suspect itself would pass.
WORTH_CONTROLLING = 10.0


@dataclass(frozen=True, slots=True)
class _Problem:
    """Elements where the parents differ: parents [K, n], the subject, its cells, rows [n]; ``written``: the
    cells that likelihoods go by (see ``mixtures``)."""

    parents: NDArray[np.float64]
    c: NDArray[np.float64]
    cells: Cells
    written: Written
    rows: NDArray[np.int32]
    dtype: DType
    declared: DType


def measure_weight_sets(
    sample: TensorSample,
    parents: tuple[int, ...],
    mixtures: Sequence[Mixture],
    controls: Sequence[int],
) -> tuple[WeightSet, ...]:
    """The suspect's set, then those of the ``controls`` where it would pass for a changed merge.

    None where a parent lacks the tensor, too little differs, or one weight on the line of two parents
    explains it all.
    """
    if len(parents) < 2 or (len(parents) == 2 and _on_the_line(mixtures)):
        return ()
    solved = [w for cast in _casts(sample, parents) if (w := _solve(sample, parents, cast)) is not None]
    if not solved:
        return ()
    best = _best_cast(sample, parents, solved)
    if best.feasible:
        return (replace(best, comparison=Absent("one set of weights explains every element")),)
    if len(parents) == 2:
        return (replace(best, comparison=Absent("two parents are compared on the line between them")),)
    best = _compared_set(sample, best, mixtures)
    if isinstance(best.comparison, Absent) or best.comparison.delta_ll < WORTH_CONTROLLING:
        return (best,)
    return (best, *(_control(sample, best, i) for i in controls if sample.models[i] is not None))


def _compared_set(sample: TensorSample, best: WeightSet, mixtures: Sequence[Mixture]) -> WeightSet:
    """With the likelihoods of all parents, where they explain more than two of them do: the numbers, or
    the grid."""
    own = (m.comparison for m in mixtures if m.subject == 0)
    leads = any(not isinstance(c, Absent) and c.delta_ll >= WORTH_COMPARING for c in own)
    found = _compare(sample, best.parents, 0, best.cast, asked=leads)
    if isinstance(found, Absent) or isinstance(found.over_pairs, Absent):
        return replace(best, comparison=found)
    over_fewer = min(found.drops, default=0.0)
    if found.over_pairs >= WORTH_COMPARING or over_fewer >= WORTH_COMPARING:
        return replace(best, comparison=found)
    return replace(best, comparison=TWO_SUFFICE, over_fewer=over_fewer)


def _best_cast(sample: TensorSample, parents: tuple[int, ...], solved: Sequence[WeightSet]) -> WeightSet:
    """The parents as the merger saw them: by consistency where one set of weights explains everything or
    nothing will be compared, else by the replay's likelihood (see ``mixtures``)."""
    best = max(solved, key=lambda w: (w.feasible, w.consistency))
    stored = _problem(sample, parents, 0, solved[0].cast)
    if best.feasible or len(solved) == 1 or len(parents) == 2 or stored.dtype.itemsize != 2:
        return best
    few = _thin(stored, QUICK_ELEMENTS)
    dtype = _merge_dtype(few)

    def likelihood(found: WeightSet) -> float:
        cast = np.asarray(cast_operand(few.parents.ravel(), found.cast)).reshape(few.parents.shape)
        if not np.isfinite(cast).all():
            return -np.inf
        return _compared(replace(few, parents=cast), dtype, interval=False).log_likelihood

    return max(solved, key=likelihood)


def _on_the_line(mixtures: Sequence[Mixture]) -> bool:
    return any(m.subject == 0 and (m.consistency == 1.0 or m.informative == 0) for m in mixtures)


def _casts(sample: TensorSample, parents: tuple[int, ...]) -> tuple[str, ...]:
    known = [m for i in parents if (m := sample.models[i]) is not None]
    if len(known) != len(parents):
        return ()
    wide = max(known, key=lambda m: m.effective.itemsize)
    return plausible_casts(wide, known[0], sample.suspect)


def _problem(sample: TensorSample, parents: tuple[int, ...], subject: int, cast: str) -> _Problem:
    known = [m for i in parents if (m := sample.models[i]) is not None]
    values = np.stack([cast_operand(m.values, cast) for m in known])
    chosen = _as_stored(sample.models[subject], sample.suspect)
    usable = np.isfinite(values).all(axis=0) & np.isfinite(chosen.values)
    usable &= (values != values[-1]).any(axis=0)
    c = chosen.values[usable]
    cells = rounding_cells(round_to(c, chosen.effective), chosen.effective)
    written = as_written(c, chosen.effective)
    return _Problem(
        values[:, usable], c, cells, written, sample.rows[usable], chosen.effective, chosen.dtype
    )


def _as_stored(subject: ModelSlice | None, own: ModelSlice) -> ModelSlice:
    """A control walks the suspect's path from the start: stored as the suspect is."""
    assert subject is not None
    floats = own.effective.is_float and subject.effective.is_float
    if not floats or own.effective.itemsize >= subject.effective.itemsize:
        return subject
    return ModelSlice(recast(subject.values, own.effective), own.effective, own.effective)


def _thin(problem: _Problem, most: int) -> _Problem:
    n = problem.c.size
    if n <= most:
        return problem
    return _only(problem, np.linspace(0, n - 1, most).astype(np.int64))


def _only(problem: _Problem, chosen: NDArray[np.int64]) -> _Problem:
    return replace(
        problem,
        parents=np.ascontiguousarray(problem.parents[:, chosen]),
        c=problem.c[chosen],
        cells=problem.cells.only(chosen),
        written=problem.written.only(chosen),
        rows=problem.rows[chosen],
    )


def _solve(sample: TensorSample, parents: tuple[int, ...], cast: str) -> WeightSet | None:
    problem = _problem(sample, parents, 0, cast)
    if problem.c.size < MINIMUM_INFORMATIVE:
        return None
    thin = _thin(problem, PROGRAMME_ELEMENTS)
    start = _start(problem)
    ranges = programme.feasible_weights(thin.parents, thin.cells.low, thin.cells.high, start)
    return WeightSet(
        parents=parents,
        cast=cast,
        elements=thin.c.size,
        estimate=_plain(ranges.estimate),
        low=_plain(ranges.low),
        high=_plain(ranges.high),
        sum_low=ranges.sum_low,
        sum_high=ranges.sum_high,
        consistency=ranges.consistency,
        feasible=ranges.feasible,
        slack=min(ranges.slack, 1e15),
    )


def _start(problem: _Problem) -> NDArray[np.float64]:
    """G's weights on a few elements; equal ones where the likelihoods do not know the dtype."""
    quick = _thin(problem, QUICK_ELEMENTS)
    if not _known(problem.dtype):
        return np.full(len(problem.parents), 1.0 / len(problem.parents))
    low, high = quick.written.cells.low, quick.written.cells.high
    return gain_over_pairs(quick.parents, quick.c, low, high, dtype=problem.dtype)[0]


def _known(dtype: DType) -> bool:
    return dtype in (DType.BF16, DType.F16, DType.F32, DType.F64)


def _compare(
    sample: TensorSample, parents: tuple[int, ...], subject: int, cast: str, *, asked: bool = False
) -> SetComparison | Absent:
    """``asked``: also where two of the parents explain the numbers as well."""
    problem = _problem(sample, parents, subject, cast)
    if problem.c.size < MINIMUM_INFORMATIVE:
        return Absent("too few informative elements")
    if not _known(problem.dtype):
        return Absent(f"the likelihoods do not know the rounding of {problem.dtype.value}")
    chosen = likelihood_elements(np.ones(problem.c.size, dtype=bool), problem.rows)
    whole, problem = problem, _only(problem, chosen)
    low, high = problem.written.cells.low, problem.written.cells.high
    gain = gain_over_pairs(problem.parents, problem.c, low, high, dtype=problem.dtype)[1]
    if subject == 0 and gain < WORTH_COMPARING and not asked:
        return TWO_SUFFICE
    dtype = _merge_dtype(problem)
    if (found := averaged(whole.c, problem.declared, dtype)) is not None:
        return found
    both = _compared(_as_stored_before(problem, dtype), dtype, interval=True)
    size = _change_size(whole, both, dtype) if subject == 0 else None
    return replace(_record(both, problem, dtype, size), over_pairs=_bounded(gain))


def _as_stored_before(problem: _Problem, merged: DType) -> _Problem:
    """As for two parents (``mixtures``)."""
    wide = problem.dtype is DType.F32 and merged is not DType.F32
    if not wide or not mostly_as_stored(problem.c, merged):
        return problem
    cells = rounding_cells(round_to(problem.c, merged), merged)
    written = Written(cells, np.ones(problem.c.size, dtype=bool))
    return replace(problem, c=recast(problem.c, merged), written=written)


def _merge_dtype(problem: _Problem) -> DType:
    """A blend may have been stored in 16 bits, trained, and published in 32."""
    if problem.dtype is not DType.F32:
        return problem.dtype
    quick = _thin(problem, QUICK_ELEMENTS)
    dtypes = (DType.F32, DType.BF16, DType.F16)
    return max(dtypes, key=lambda d: _compared(quick, d, interval=False).log_likelihood)


def _compared(problem: _Problem, dtype: DType, *, interval: bool) -> ManyComparison:
    return compare_many(
        problem.parents,
        problem.c,
        problem.written.cells.low,
        problem.written.cells.high,
        dtype=dtype,
        rows=problem.rows,
        interval=interval,
    )


def _change_size(problem: _Problem, both: ManyComparison, dtype: DType) -> ChangeSize | None:
    order = list(both.order)
    return size_around_blend(
        problem.parents[order],
        np.array(both.weights)[order],
        problem.c,
        problem.cells,
        dtype=dtype,
        scale=both.scale,
        rows=problem.rows,
    )


def _record(
    both: ManyComparison, problem: _Problem, dtype: DType, size: ChangeSize | None
) -> SetComparison:
    ends, elements = both.intervals, problem.c.size
    none = Absent("other grids are tried where the grid leads by 8 with every parent")
    return SetComparison(
        elements=elements,
        weights=both.weights,
        low=tuple(i.low for i in ends) if ends else both.weights,
        high=tuple(i.high for i in ends) if ends else both.weights,
        sum_to_one=both.sum_to_one,
        scale=both.scale,
        family=both.family,
        log_likelihood=_bounded(both.log_likelihood),
        free_weights=both.free_weights,
        free_scale=both.free_scale,
        free_log_likelihood=_bounded(both.free_log_likelihood),
        delta_ll=_bounded(both.delta_ll),
        drops=tuple(_bounded(x) for x in both.drops),
        drift=both.drift,
        correlations=tuple(x or 0.0 for x in both.correlations),
        off_replay=both.off_replay,
        off_replay_elements=elements,
        merge_dtype=dtype.value,
        coarse_step=coarse_step(problem.c, dtype),
        lattice_lead=none if both.lattice_lead is None else _bounded(both.lattice_lead),
        change_rms=TOO_COARSE if size is None else size.rms,
        change_rms_error=TOO_COARSE if size is None else size.error,
        change_rms_elements=0 if size is None else size.elements,
    )


def _control(sample: TensorSample, own: WeightSet, control: int) -> WeightSet:
    """A control's comparison under the suspect's parents and cast; it is not asked for ranges."""
    comparison = _compare(sample, own.parents, control, own.cast)
    weights = own.estimate if isinstance(comparison, Absent) else comparison.free_weights
    return replace(
        own,
        subject=control,
        estimate=weights,
        low=weights,
        high=weights,
        sum_low=sum(weights),
        sum_high=sum(weights),
        consistency=0.0,
        slack=0.0,
        comparison=comparison,
    )


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(x) for x in values)


def _bounded(value: float) -> float:
    """A log-likelihood ratio as a file can hold it: beyond this it is past all doubt."""
    return float(min(max(value, -1e15), 1e15))
