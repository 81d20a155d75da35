"""E-values between a stored blend and its rivals, from elements that had no part in the fit.

A likelihood ratio of new elements whose numerator was fitted to earlier ones and whose denominator is
maximised over the null on the new ones has an expectation of at most 1 under that null (split likelihood
ratio: Wasserman, Ramdas and Balakrishnan, PNAS 2020). So has the product of such ratios over stages, and by
Ville's inequality it ever reaches 1/a with a probability of at most a, however often one looks.

That holds for elements that are independent given the model. Rows of real tensors are not quite: see
docs/numerics.md for what was measured, and ``majority`` for the form that needs no independence of tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.feasible import interval
from parentage.numerics.likelihoods.likelihood import Fit, fit_cells, make_cells
from parentage.numerics.likelihoods.profile import (
    Cells,
    predict,
    profile_at,
    profile_drifting,
    residual_cells,
)
from parentage.numerics.likelihoods.search import Line, Peak, points
from parentage.numerics.likelihoods.tails import FAMILIES, STUDENT_T2, scale_sums
from parentage.records.dtypes import DType

__all__ = ["LogEvidence", "log_mean", "majority", "predictive_evidence"]

Floats = NDArray[np.float64]

# Fewer elements on either side decide nothing.
LEAST_ELEMENTS: Final = 64
# The numerator is a mixture over weights near the fitted one: a replay at a weight that is a little off
# misses elements which the true weight explains.
_WEIGHTS: Final = 41
_REACH: Final = 8.0
_WIDEST: Final = 0.05
_NARROWEST: Final = 1e-7
# A blend has at least so much of each parent (the verdicts' own rule).
_PARTS: Final = (0.04, 0.96)
_GRID: Final = 93


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """Natural logarithms of e-values, for one tensor and one stage.

    ``for_blend``: a stored blend, changed since or not, against every blend that was never stored; a change
    of one parent alone is one of these. ``against_one``: the same against a change of one parent alone that
    does not follow the other. ``for_free``: never stored, against every stored blend whose later change
    does not follow the parents' difference (one that does looks like a blend that was never stored).
    ``for_one``: a change of one parent alone, against every blend with 4 to 96 % of each, stored or not.
    """

    for_blend: float = 0.0
    against_one: float = 0.0
    for_free: float = 0.0
    for_one: float = 0.0

    def __add__(self, other: LogEvidence) -> LogEvidence:
        """Of two stages, the second of which had no part in the first."""
        return LogEvidence(
            self.for_blend + other.for_blend,
            self.against_one + other.against_one,
            self.for_free + other.for_free,
            self.for_one + other.for_one,
        )


NOTHING: Final = LogEvidence()


def predictive_evidence(
    parents: Floats, c: Floats, low: Floats, high: Floats, new: NDArray[np.bool_], *, dtype: DType
) -> LogEvidence:
    """Evidence of the elements marked ``new`` [n], by fits to the others.

    ``parents``: float64 [2, n]; ``c``, ``low``, ``high``: the suspect and its rounding cells [n];
    ``dtype``: what a blend was stored in. Zero (an e-value of 1) where either side is too small.

    Elements that one weight explains without rest are those of a blend that was stored and of one that was
    not, in one: only ``against_one`` tells anything then.
    """
    informative = parents[0] != parents[1]
    before, after = informative & ~new, informative & new
    if min(np.count_nonzero(before), np.count_nonzero(after)) < LEAST_ELEMENTS:
        return NOTHING
    swept = interval.estimate(
        parents[0, before], parents[1, before], low[before], high[before], new[before], c[before]
    )
    old, fresh = (make_cells(parents[:, m], c[m], low[m], high[m], dtype, True) for m in (before, after))
    if swept.consistency == 1.0:
        alpha = (swept.low + swept.high) / 2.0
        predicted = _log_likelihood(
            fresh, _pairs(np.array([alpha]))[0], None, STUDENT_T2, _least_scale(old)
        )
        return LogEvidence(against_one=predicted - _most_of_one(fresh))
    free = fit_cells(old.free(), "free", None, True, interval=False, without=False)
    centre = np.array(free.weights[:1])
    drifting = old.drifting(centre, sum_to_one=True)
    stored = fit_cells(drifting, "replay", None, True, interval=False, without=False)
    predicted = _stored_density(drifting, stored, fresh.drifting(centre, sum_to_one=True))
    best_free = _most_free(fresh, (free, stored))
    return LogEvidence(
        for_blend=predicted - best_free.log_likelihood,
        against_one=predicted - _most_of_one(fresh),
        for_free=_free_density(old, free, fresh) - _most_stored(fresh, stored),
        for_one=_density_of_one(old, fresh) - _most_of_both(fresh, best_free),
    )


def _stored_density(old: Cells, fit: Fit, fresh: Cells) -> float:
    """Log density of the new elements: a mixture over weights, each with its best scale among the old."""
    family = _family(fit)
    weights = _candidates(old, fit)
    values, scales, shifts, _ = profile_drifting(old, weights, family, guess=fit.scale)
    least = _least_scale(old)
    found = [
        _log_likelihood(fresh, w, s, family, max(float(scale), least))
        for w, s, scale in zip(weights, shifts, scales, strict=True)
    ]
    prior = values - values.max()
    return float(np.logaddexp.reduce(prior + np.array(found)) - np.logaddexp.reduce(prior))


def _candidates(old: Cells, fit: Fit) -> Floats:
    """Weights [G, 2] around the fitted one, out to where the old elements hardly allow them."""
    alpha, family = fit.alpha, _family(fit)
    reach = _NARROWEST
    while reach < _WIDEST:
        around = np.array([alpha - reach, alpha + reach])
        values, _, _ = profile_at(old, _pairs(around), family, guess=fit.scale)
        if values.max() < fit.log_likelihood - _REACH:
            break
        reach *= 3.0
    return _pairs(np.append(np.linspace(alpha - reach, alpha + reach, _WEIGHTS), alpha))


def _pairs(alphas: Floats) -> Floats:
    return np.column_stack([alphas, 1.0 - alphas])


def _free_density(old: Cells, fit: Fit, fresh: Cells) -> float:
    scale = max(fit.scale, _least_scale(old))
    return _log_likelihood(fresh.free(), np.array(fit.weights), None, _family(fit), scale)


def _least_scale(old: Cells) -> float:
    """No finite number of elements shows that nothing at all was changed."""
    return float(np.median(old.high - old.low)) / old.n


def _family(fit: Fit) -> int:
    return next(code for code, name in FAMILIES.items() if name == fit.family)


def _log_likelihood(
    cells: Cells, weights: Floats, shift: Floats | None, family: int, scale: float
) -> float:
    """At fixed parameters, none of which these cells had a part in."""
    lo, hi, r = (np.empty(cells.n) for _ in range(3))
    predict(cells.parents, np.ascontiguousarray(weights), cells.code, cells.single, r)
    if shift is not None and cells.drift is not None:
        r += shift @ cells.drift
    residual_cells(cells.low, cells.high, cells.relative, r, lo, hi)
    return float(scale_sums(lo, hi, scale, family)[0])


def _most_stored(fresh: Cells, fitted: Fit) -> float:
    """The likeliest of all stored blends on the new elements, also sought where the old ones had it."""
    found = fit_cells(fresh, "replay", None, True, interval=False, without=False)
    near = _points(fresh, [fitted.alpha, 0.0, 1.0])
    return max(found.log_likelihood, *near)


def _most_of_one(fresh: Cells) -> float:
    """The likeliest change of one parent alone."""
    return max(_points(fresh.free(), [0.0, 1.0]))


def _points(cells: Cells, where: list[float]) -> list[float]:
    return [p.log_likelihood for p in _peaks(cells, where)]


def _peaks(cells: Cells, where: list[float]) -> list[Peak]:
    line = Line.of(2)
    return [p for f in FAMILIES for p in points(cells, line, where, family=f)]


def _most_free(fresh: Cells, fits: Sequence[Fit]) -> Peak:
    """The likeliest of all blends that were never stored, also sought where others were best."""
    free = fresh.free()
    found = fit_cells(free, "free", None, True, interval=False, without=False)
    near = _peaks(free, [f.alpha + sum(f.drift) for f in fits])
    first = Peak(found.alpha, found.log_likelihood, found.scale, 0)
    return max((first, *near), key=lambda p: p.log_likelihood)


def _density_of_one(old: Cells, fresh: Cells) -> float:
    """Log density of the new elements as a change of that parent which suits the old ones better."""
    both = [(p, f) for f in FAMILIES for p in points(old.free(), Line.of(2), [0.0, 1.0], family=f)]
    best, family = max(both, key=lambda item: item[0].log_likelihood)
    scale = max(best.scale, _least_scale(old))
    return _log_likelihood(fresh.free(), _pairs(np.array([best.position]))[0], None, family, scale)


def _most_of_both(fresh: Cells, best_free: Peak) -> float:
    """The likeliest blend with a part of both parents, stored or not. That of the stored ones is sought on
    a grid, between whose points their likelihood hardly rises: a stored blend's maximum is broad where
    there is none."""
    least, most = _PARTS
    inside = [best_free.log_likelihood] if least <= best_free.position <= most else []
    free = _points(fresh.free(), [least, most])
    return max(*inside, *free, *_points(fresh, np.linspace(least, most, _GRID).tolist()))


def log_mean(logs: Sequence[float]) -> float:
    """Logarithm of the mean of e-values given by their logarithms: an e-value whatever their dependence."""
    return float(np.logaddexp.reduce(np.array(logs))) - math.log(len(logs))


def majority(logs: Iterable[float]) -> float:
    """Log e-value against "fewer than half of these tensors are so", whatever their dependence.

    If fewer than u of n are so, then n - u + 1 nulls hold; the mean over these is an e-value, and no
    smaller than the mean of the n - u + 1 smallest (Vovk and Wang, Annals of Statistics 2021). 0 without
    tensors.
    """
    ordered = sorted(logs)
    needed = -(-len(ordered) // 2)
    return log_mean(ordered[: len(ordered) - needed + 1]) if ordered else 0.0
