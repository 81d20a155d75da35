"""Benchmark scores of a model beside those of two others: a place on the line, or an improvement?

Two models of a table, each with two free numbers, so that their likelihoods compare without a penalty:

- *line*: c = t a + (1 - t) b, one t in [0, 1] for all benchmarks;
- *improvement*: c = b + m, one m for all benchmarks (b the model that the suspect is said to come from);

both with residuals that are normal, of variance s² (1 + t² + (1 - t)²) or 2 s² from the standard errors s
of the scores, plus one further spread v of the benchmarks' own, fitted. Benchmarks count as independent,
which they are not quite: a ratio is a description of the table, no proof of how weights came about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LineFit", "binomial_error", "fit_line"]

Numbers = NDArray[np.float64]
# A spread below this share of the errors changes no likelihood that is told.
_SPREADS = np.concatenate([[0.0], np.geomspace(1e-2, 1e3, 61)])
_WEIGHTS = np.linspace(0.0, 1.0, 201)
# Half of the 95 % point of chi-squared with one degree of freedom: a profile interval.
_DROP = 1.9207


@dataclass(frozen=True, slots=True)
class LineFit:
    """``weight`` of the first model on the line with its 95 % profile interval; log-likelihoods of both."""

    weight: float
    low: float
    high: float
    line: float
    improvement: float

    @property
    def log_ratio(self) -> float:
        """Above zero: the line explains the table better."""
        return self.line - self.improvement


def binomial_error(score: float, items: int) -> float:
    """Standard error of a percentage over ``items`` questions; half an item's worth at 0 and 100 %."""
    share = min(max(score / 100.0, 0.5 / items), 1.0 - 0.5 / items)
    return 100.0 * math.sqrt(share * (1.0 - share) / items)


def fit_line(*, suspect: Numbers, first: Numbers, second: Numbers, errors: Numbers) -> LineFit:
    """Fit both to [n] scores, n >= 3, with standard errors [n] > 0 in the same units.

    Raises ``ValueError`` for fewer scores, or where the two models do not differ.
    """
    if suspect.size < 3 or not np.all(errors > 0):
        raise ValueError("at least three scores with errors are needed")
    if np.all(np.abs(first - second) <= errors):
        raise ValueError("the two models' scores do not differ")
    profile = _line_profile(suspect, first, second, errors)
    best = int(np.argmax(profile))
    inside = _WEIGHTS[profile >= profile[best] - _DROP]
    moved = suspect - second
    variance = 2.0 * errors**2
    return LineFit(
        float(_WEIGHTS[best]),
        float(inside[0]),
        float(inside[-1]),
        float(profile[best]),
        _best_shift(moved, variance),
    )


def _line_profile(suspect: Numbers, first: Numbers, second: Numbers, errors: Numbers) -> Numbers:
    """The line's likelihood at each weight of the grid, each with its best spread."""
    t = _WEIGHTS[:, None, None]
    residual = suspect - (t * first + (1 - t) * second)
    total = errors**2 * (1 + t**2 + (1 - t) ** 2) + _spreads(2 * errors**2)[None, :, None]
    likelihood = -0.5 * np.sum(residual**2 / total + np.log(2 * np.pi * total), axis=2)
    return np.asarray(np.max(likelihood, axis=1))


def _best_shift(moved: Numbers, variance: Numbers) -> float:
    """The improvement's likelihood; its mean has a closed form at each spread, and may not be negative."""
    total = variance[None, :] + _spreads(variance)[:, None]
    mean = np.maximum(np.sum(moved / total, axis=1) / np.sum(1 / total, axis=1), 0.0)
    residual = moved[None, :] - mean[:, None]
    return float(np.max(-0.5 * np.sum(residual**2 / total + np.log(2 * np.pi * total), axis=1)))


def _spreads(variance: Numbers) -> Numbers:
    # A spread relative to the errors: scores may be percentages, or shares of one.
    return np.asarray(_SPREADS * float(np.mean(variance)))
