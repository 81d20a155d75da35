"""Was a parent changed before the blend, or the blend after it?

A merge of another revision of a parent leaves much of what a later change leaves: elements that the two
revisions share replay exactly, the others do not. But a revision moved the parent by whole grid steps of
the parent, which the blend then scales by a weight and rounds; a later change moved the stored blend by
whole steps of its own. Both are counted with a free distribution of steps, and compared.

The distributions are symmetric and fall with the number of steps, as those of trainings do: a mixture of
uniform ones on -m .. m. Without that, steps of a parent in multiples of 1/weight would imitate any change
of the blend.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_STEPS", "reaches", "step_log_likelihood"]

# Steps of up to 8 either way: changes of several grid steps an element are told by the free likelihood.
MOST_STEPS: Final = 8
# A parent of small weight must move by many steps to move the blend by one.
_MOST_BEFORE: Final = 64
_ROUNDS: Final = 5_000
_ENOUGH: Final = 0.5
# Mass for elements that no number of steps explains, shared among so many values.
_OUTLIERS: Final = 1e-3
_VALUES: Final = 2 * MOST_STEPS + 1


def reaches(weight: float) -> tuple[int, int]:
    """Steps either way after the blend, and before it in a parent of this weight, that reach at least as
    far (also where the parent's step is half of the blend's).

    Elements farther off than the first are to be left out: what one of the two cannot reach would count as
    the other's.
    """
    size = max(abs(weight), 1e-3)
    after = max(1, min(MOST_STEPS, math.floor(_MOST_BEFORE * size / 2.0 + 1e-9)))
    return after, min(_MOST_BEFORE, math.ceil(2 * after / size - 1e-9))


def step_log_likelihood(explained: NDArray[np.bool_], kept: NDArray[np.bool_] | None = None) -> float:
    """Log-likelihood of elements at the best distribution of steps.

    ``explained`` [2 m + 1, n]: would -m .. m steps give the suspect's bits? Several may. ``kept``, of the
    same shape: would an element have been among those that are looked at, had it made these steps? All
    would, when None. Without it a distribution that reaches beyond what is kept would pay for elements that
    were left out. The mixture is found by expectation-maximisation from a uniform start.
    """
    most = len(explained) // 2
    patterns = explained if kept is None else np.concatenate([explained, kept])
    patterns, counts = _distinct(patterns)
    within = _up_to(patterns[len(explained) :]) if kept is not None else _all_steps(most)
    hits = _up_to(patterns[: len(explained)]) / np.maximum(within, 1.0)
    mass = (1.0 - _OUTLIERS) * (_best_mixture(hits, counts) @ hits) + _OUTLIERS / _VALUES
    return float(np.sum(counts * np.log(mass)))


def _up_to(told: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of the columns of ``told`` [2 m + 1, n], how many of the steps -k .. k, for k up to m: [m + 1, n]."""
    most = len(told) // 2
    inner = np.cumsum(told[most:], axis=0, dtype=np.float64)
    inner[1:] += np.cumsum(told[:most][::-1], axis=0, dtype=np.float64)
    return inner


def _all_steps(most: int) -> NDArray[np.float64]:
    return np.arange(1.0, 2.0 * most + 2.0, 2.0, dtype=np.float64)[:, None]


def _best_mixture(hits: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares [m] under which the columns of ``hits`` [m, n] that have a hit are likeliest.

    The problem is concave: no shares are likelier than these by more than the largest gradient less the
    mean one, times the elements, which ends the expectation-maximisation.
    """
    known = hits.any(axis=0)
    hits, counts = hits[:, known], counts[known]
    shares, total = np.full(len(hits), 1.0 / len(hits)), float(counts.sum())
    for _ in range(_ROUNDS):
        gradient = hits @ (counts / (shares @ hits))
        if gradient.max(initial=0.0) - total < _ENOUGH:
            break
        shares *= gradient / total
    return shares


def _distinct(explained: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Each column that occurs, once, and how often."""
    packed = np.ascontiguousarray(np.packbits(explained, axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return explained[:, first], counts.astype(np.float64)
