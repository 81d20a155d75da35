"""One subject explained as a blend of two parents, on one tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.sampling.reading import ModelSlice, TensorSample, recast
from parentage.numerics.deciding import merge_test
from parentage.numerics.deciding.averages import MOST_MODELS, MOST_ON_F16, mean_of_narrow
from parentage.numerics.feasible import interval
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
from parentage.records.evidence import TOO_COARSE, Comparison, Mixture

__all__ = [
    "AS_STORED",
    "LIKELIHOOD_ELEMENTS",
    "MixtureRequest",
    "averaged",
    "cast_operand",
    "in_dtype_of",
    "likelihood_elements",
    "measure_mixture",
    "plausible_casts",
]

AS_STORED = "as-stored"

# Elements for the two likelihoods: a comparison costs time in proportion, and the decision needs
# 138 to 4,207 elements for a difference of 10 at the sizes of change that matter.
LIKELIHOOD_ELEMENTS = 8_192
# Elements that tell which dtype the blend was stored in.
QUICK_ELEMENTS = 2_048
# Fewer informative elements than this and a tensor is described, not judged.
MINIMUM_INFORMATIVE = 200


@dataclass(frozen=True, slots=True)
class MixtureRequest:
    """Explain model ``subject`` as a blend of models ``first`` and ``second``."""

    subject: int
    first: int
    second: int
    compare: bool = True


@dataclass(frozen=True, slots=True)
class _Problem:
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    c: NDArray[np.float64]
    cells: Cells
    written: Written
    """The same, of numbers on a narrower grid than they are stored in that grid's: for likelihoods."""
    rows: NDArray[np.int32]
    dtype: DType
    declared: DType
    """What the file says; ``dtype`` is narrower where that holds every number."""


def plausible_casts(first: ModelSlice, second: ModelSlice, subject: ModelSlice) -> tuple[str, ...]:
    """As stored, and the narrower 16-bit dtypes that a merger may have cast its inputs to."""
    wide = DType.F32 in (first.effective, second.effective)
    if not wide:
        return (AS_STORED,)
    return (AS_STORED, DType.BF16.value, DType.F16.value)


def cast_operand(values: NDArray[np.float64], cast: str) -> NDArray[np.float64]:
    """The parent as the merger saw it."""
    return values if cast == AS_STORED else recast(values, DType(cast))


def measure_mixture(
    sample: TensorSample,
    request: MixtureRequest,
    grid: NDArray[np.float64],
    *,
    subject: NDArray[np.float64] | None = None,
) -> tuple[Mixture, NDArray[np.int64]] | None:
    """Sweep, folds and likelihoods; None when a model lacks the tensor.

    Also returns, for each weight of ``grid``, how many informative elements allow it. ``subject``
    replaces the subject's values (a shuffled control); its dtype stays that of model 0.
    """
    chosen = _subject(sample, request, subject)
    first, second = sample.models[request.first], sample.models[request.second]
    if chosen is None or first is None or second is None:
        return None
    results = [
        (cast, _problem(sample, chosen, first, second, cast))
        for cast in plausible_casts(first, second, chosen)
    ]
    cast, problem, swept = _best_cast(
        request, [(cast, problem, _sweep(problem)) for cast, problem in results]
    )
    mixture = _assemble(request, cast, problem, swept)
    curve = interval.consistency_curve(problem.a, problem.b, problem.cells.low, problem.cells.high, grid)
    counts = np.rint(curve * mixture.informative).astype(np.int64)
    return mixture, counts


_Swept = tuple[str, _Problem, interval.IntervalEstimate]


def _best_cast(request: MixtureRequest, swept: list[_Swept]) -> _Swept:
    """The parents as the merger saw them. The first of equals wins: as stored, unless a cast explains
    strictly more.

    What more than rounding has moved is consistent with 1/2 wherever the parents are one step apart, and a
    cast makes such parents: below a consistency of 1 the replay's likelihood decides, on the same elements.
    Not for a suspect in 32 bits: averages of 16-bit checkpoints passed for merges so (3 of 250 planted).
    """
    best = max(swept, key=lambda item: item[2].consistency)
    stored = swept[0][1]
    compared = request.compare and best[2].consistency < 1.0
    if len(swept) == 1 or not compared or stored.dtype.itemsize != 2:
        return best
    chosen = np.flatnonzero(stored.a != stored.b)
    if chosen.size < MINIMUM_INFORMATIVE:
        return best
    few = chosen[:: max(1, chosen.size // QUICK_ELEMENTS)]
    # A cast to float16 may overflow.
    swept = [item for item in swept if item[1].c.size == stored.c.size]
    return max(swept, key=lambda item: _quick_log_likelihood(item[1], few))


def _quick_log_likelihood(problem: _Problem, few: NDArray[np.int64]) -> float:
    dtypes = _merge_dtypes(problem.dtype)
    return max(
        _compared(problem, few, d, interval_=False, lattice=False).replay.log_likelihood for d in dtypes
    )


def _subject(
    sample: TensorSample, request: MixtureRequest, replaced: NDArray[np.float64] | None
) -> ModelSlice | None:
    own = sample.suspect
    if replaced is not None:
        return ModelSlice(replaced, own.dtype, own.effective)
    chosen = sample.models[request.subject]
    return chosen if chosen is None else in_dtype_of(own, chosen)


def in_dtype_of(own: ModelSlice, other: ModelSlice) -> ModelSlice:
    """A control walks the suspect's path from the start: stored as the suspect is, where narrower."""
    if other is own or not _narrower(own, other):
        return other
    return ModelSlice(recast(other.values, own.effective), own.effective, own.effective)


def _narrower(own: ModelSlice, other: ModelSlice) -> bool:
    floats = own.effective.is_float and other.effective.is_float
    return floats and own.effective.itemsize < other.effective.itemsize


def _problem(
    sample: TensorSample, chosen: ModelSlice, first: ModelSlice, second: ModelSlice, cast: str
) -> _Problem:
    a, b = cast_operand(first.values, cast), cast_operand(second.values, cast)
    c = chosen.values
    finite = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    a, b, c = a[finite], b[finite], c[finite]
    cells = rounding_cells(round_to(c, chosen.effective), chosen.effective)
    written = as_written(c, chosen.effective)
    return _Problem(a, b, c, cells, written, sample.rows[finite], chosen.effective, chosen.dtype)


def _sweep(problem: _Problem) -> interval.IntervalEstimate:
    cells = problem.cells
    return interval.estimate(problem.a, problem.b, cells.low, cells.high, cells.closed, problem.c)


def _assemble(
    request: MixtureRequest, cast: str, problem: _Problem, swept: interval.IntervalEstimate
) -> Mixture:
    ends = np.array([0.0, 1.0])
    shares = interval.consistency_curve(problem.a, problem.b, problem.cells.low, problem.cells.high, ends)
    fold_alpha, fold_consistency = _folds(problem, swept)
    slope, cosine = _least_squares(problem)
    return Mixture(
        subject=request.subject,
        first=request.first,
        second=request.second,
        cast=cast,
        informative=swept.informative,
        equal=swept.equal,
        equal_agree=swept.equal_agree,
        low=swept.low,
        high=swept.high,
        count=swept.count,
        consistency=swept.consistency,
        alpha_zero_share=float(shares[0]),
        alpha_one_share=float(shares[1]),
        fold_alpha=fold_alpha,
        fold_consistency=fold_consistency,
        least_squares=slope,
        cosine=cosine,
        comparison=_compare(request, problem, swept),
    )


def _folds(problem: _Problem, swept: interval.IntervalEstimate) -> tuple[float | Absent, float | Absent]:
    """Estimate on the even rows, test on the odd ones: a fit cannot vouch for itself."""
    if swept.informative < MINIMUM_INFORMATIVE:
        return Absent("too few informative elements"), Absent("too few informative elements")
    even = problem.rows % 2 == 0
    cells = problem.cells
    fitted = interval.estimate(
        problem.a[even],
        problem.b[even],
        cells.low[even],
        cells.high[even],
        cells.closed[even],
        problem.c[even],
    )
    odd = ~even & (problem.a != problem.b)
    if fitted.informative == 0 or not odd.any():
        return Absent("one fold is empty"), Absent("one fold is empty")
    middle = (fitted.low + fitted.high) / 2
    share = interval.consistency_curve(
        problem.a[odd], problem.b[odd], cells.low[odd], cells.high[odd], np.array([middle])
    )
    return middle, float(share[0])


def _least_squares(problem: _Problem) -> tuple[float | Absent, float | Absent]:
    """What the usual script would report; described, never decided on."""
    delta, moved = problem.a - problem.b, problem.c - problem.b
    dd, mm = float(np.sum(delta * delta)), float(np.sum(moved * moved))
    dm = float(np.sum(delta * moved))
    if dd == 0.0:
        return Absent("the parents are equal here"), Absent("the parents are equal here")
    if mm == 0.0:
        return 0.0, Absent("the suspect equals the second parent here")
    return dm / dd, dm / float(np.sqrt(dd * mm))


def _compare(
    request: MixtureRequest, problem: _Problem, swept: interval.IntervalEstimate
) -> Comparison | Absent:
    if not request.compare:
        return Absent("not asked for: this pair explains less than another")
    if swept.informative < MINIMUM_INFORMATIVE:
        return Absent("too few informative elements")
    if swept.consistency == 1.0:
        return Absent("one weight explains every element: nothing is left to compare")
    if problem.dtype.itemsize == 1:
        return Absent(f"the likelihoods do not know the rounding of {problem.dtype.value}")
    chosen = likelihood_elements(problem.a != problem.b, problem.rows)
    return _likelihoods(request, problem, chosen)


def likelihood_elements(informative: NDArray[np.bool_], rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Which elements the likelihoods are taken on: all informative ones, or enough whole rows of them."""
    chosen = np.flatnonzero(informative)
    return _whole_rows(chosen, rows) if chosen.size > LIKELIHOOD_ELEMENTS else chosen


def _whole_rows(chosen: NDArray[np.int64], rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Every k-th row, whole, so that the row-wise scales keep their elements."""
    distinct = np.unique(rows[chosen])
    keep = max(1, int(distinct.size * LIKELIHOOD_ELEMENTS / chosen.size))
    picked = distinct[np.linspace(0, distinct.size - 1, keep).astype(np.int64)]
    return chosen[np.isin(rows[chosen], picked)][: 2 * LIKELIHOOD_ELEMENTS]


def _likelihoods(
    request: MixtureRequest, problem: _Problem, chosen: NDArray[np.int64]
) -> Comparison | Absent:
    dtypes = _merge_dtypes(problem.dtype)
    best = dtypes[0]
    if len(dtypes) > 1:
        few = chosen[:: max(1, chosen.size // QUICK_ELEMENTS)]
        quick = {d: _compared(problem, few, d, interval_=False, lattice=False) for d in dtypes}
        best = max(dtypes, key=lambda d: quick[d].replay.log_likelihood)
    if (found := averaged(problem.c, problem.declared, best)) is not None:
        return found
    # What a control's weight would be is of no interest: whether it passes is.
    told = _as_stored_before(problem, chosen, best)
    both = _compared(told, chosen, best, interval_=request.subject == 0)
    size = _change_size(problem, both, best) if request.subject == 0 else None
    return _record(both, chosen.size, best, size)


def averaged(values: NDArray[np.float64], declared: DType, merged: DType) -> Absent | None:
    """Why a blend stored in ``merged`` is not asked about where ``values``, in 32 bits, are a mean of
    models in 16: of ``merged``, or of bfloat16, of which a mean of two or four lies on float16's grid."""
    if declared is not DType.F32 or merged is DType.F32:
        return None
    for narrow, most in ((merged, MOST_MODELS), (DType.BF16, MOST_ON_F16)):
        models = mean_of_narrow(values, narrow, most)
        if models is not None:
            return Absent(
                f"numbers off the grid of {narrow.value} lie at multiples of 1/{models} of its steps, "
                f"as in a mean of {models} models stored so"
            )
    return None


def _as_stored_before(problem: _Problem, chosen: NDArray[np.int64], merged: DType) -> _Problem:
    """A 32-bit suspect of which many numbers lie on the grid that a blend would have been stored on, as it
    would be in that format: what was changed in 32 bits afterwards is rounded to it."""
    wide = problem.dtype is DType.F32 and merged is not DType.F32
    if not wide or not mostly_as_stored(problem.c[chosen], merged):
        return problem
    cells = rounding_cells(round_to(problem.c, merged), merged)
    written = Written(cells, np.ones(problem.c.size, dtype=bool))
    return replace(problem, c=recast(problem.c, merged), written=written)


def _merge_dtypes(stored: DType) -> tuple[DType, ...]:
    """A blend may have been stored in 16 bits, trained, and published in 32."""
    return (DType.F32, DType.BF16, DType.F16) if stored is DType.F32 else (stored,)


def _compared(
    problem: _Problem, chosen: NDArray[np.int64], dtype: DType, *, interval_: bool, lattice: bool = True
) -> merge_test.Comparison:
    a, b, c = problem.a[chosen], problem.b[chosen], problem.c[chosen]
    cells = problem.written.cells.only(chosen)
    return merge_test.compare(
        a,
        b,
        c,
        cells.low,
        cells.high,
        dtype=dtype,
        rows=problem.rows[chosen],
        interval=interval_,
        lattice=lattice,
    )


def _change_size(problem: _Problem, both: merge_test.Comparison, dtype: DType) -> ChangeSize | None:
    """On all elements of the sample, also where the parents are equal: the change moved those too."""
    parents = np.stack([problem.a, problem.b])
    weights = np.array([both.replay.alpha, 1.0 - both.replay.alpha])
    return size_around_blend(
        parents, weights, problem.c, problem.cells, dtype=dtype, scale=both.replay.scale, rows=problem.rows
    )


def _record(
    both: merge_test.Comparison, elements: int, dtype: DType, size: ChangeSize | None
) -> Comparison:
    found = both.replay.interval
    none = Absent("not measured: the suspect is not on the grid of a stored blend")
    return Comparison(
        elements=elements,
        alpha=both.replay.alpha,
        alpha_low=none if found is None else found.low,
        alpha_high=none if found is None else found.high,
        drift=both.drift,
        scale=both.replay.scale,
        family=both.replay.family,
        log_likelihood=_bounded(both.replay.log_likelihood),
        free_alpha=both.free.alpha,
        free_scale=both.free.scale,
        free_log_likelihood=_bounded(both.free.log_likelihood),
        delta_ll=_bounded(both.delta_ll),
        drop_at_zero=_bounded(both.drop_at_zero),
        drop_at_one=_bounded(both.drop_at_one),
        residual_correlation=both.residual_correlation or 0.0,
        off_replay=both.off_replay,
        off_replay_elements=elements,
        merge_dtype=dtype.value,
        coarse_step=merge_test.coarse_step(both.prediction, dtype),
        lattice_lead=none if both.lattice_lead is None else _bounded(both.lattice_lead),
        change_rms=TOO_COARSE if size is None else size.rms,
        change_rms_error=TOO_COARSE if size is None else size.error,
        change_rms_elements=0 if size is None else size.elements,
    )


def _bounded(value: float) -> float:
    """A log-likelihood ratio as a file can hold it: beyond this it is past all doubt."""
    return float(min(max(value, -1e15), 1e15))
