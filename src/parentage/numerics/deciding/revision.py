"""Was a parent changed before the blend, or the blend after it?

A merge of another revision of a parent leaves much of what a later change leaves: elements that the two
revisions share replay exactly, the others do not. But a revision moved the parent by whole grid steps of
the parent, which the blend then scales by a weight and rounds; a later change moved the stored blend by
whole steps of its own. Both are counted with a free distribution of steps, and compared.

The distributions are symmetric and fall with the number of steps, as those of trainings do: a mixture of
uniform ones on -m .. m, and of one that is farther away than any step that is asked for. Without that,
steps of a parent in multiples of 1/weight would imitate any change of the blend.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_STEPS", "either_way", "reach_before", "step_log_likelihood"]

# Steps of up to 8 either way: changes of several grid steps an element are told by the free likelihood.
MOST_STEPS: Final = 8
# A parent of small weight must move by many steps to move the blend by one.
_MOST_BEFORE: Final = 64
_ROUNDS: Final = 5_000
_ENOUGH: Final = 0.5
# Mass for elements that no number of steps explains, shared among so many values.
_OUTLIERS: Final = 1e-3
_VALUES: Final = 2 * MOST_STEPS + 1


def reach_before(weight: float) -> int:
    """Steps of a parent of this weight, either way, that move the blend by as many as are asked for after
    it (also where the parent's step is half of the blend's), or as many as are worth the time."""
    size = max(abs(weight), 1e-3)
    return min(_MOST_BEFORE, math.ceil(2 * MOST_STEPS / size - 1e-9))


def either_way(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """How far the blend surely moves if a parent moves by more than the steps given, less one: [n].

    ``offsets`` [2 m + 1, n]: steps of the blend where a parent moves by -m .. m. Within what is returned
    all numbers of the parent's steps that lead there are among those given. -1: not even the blend's own
    place is surely left; the element tells nothing.
    """
    ends = offsets[0], offsets[-1]
    both: NDArray[np.int64] = np.minimum(np.maximum(*ends), -np.minimum(*ends)) - 1
    return np.clip(both, -1, MOST_STEPS)


def step_log_likelihood(explained: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
    """Log-likelihood of elements at the best distribution of steps.

    ``explained`` [2 m + 1, n]: would -m .. m steps give what is seen of an element? Several may. ``others``
    [k, n]: would something else, each of which has a share of its own (more steps than these; a value that
    is given)? What is seen is the element's offset, or that it lies beyond the reach in which offsets are
    told apart. The mixture is found by expectation-maximisation from a uniform start.
    """
    patterns, counts = _distinct(np.concatenate([explained, others]))
    inner = _up_to(patterns[: len(explained)])
    steps = np.arange(1.0, len(explained) + 1.0, 2.0)[:, None]
    hits = np.concatenate([inner / steps, patterns[len(explained) :].astype(np.float64)])
    mass = (1.0 - _OUTLIERS) * (_best_mixture(hits, counts) @ hits) + _OUTLIERS / _VALUES
    return float(np.sum(counts * np.log(mass)))


def _up_to(told: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of the columns of ``told`` [2 m + 1, n], how many of the steps -k .. k, for k up to m: [m + 1, n]."""
    most = len(told) // 2
    inner = np.cumsum(told[most:], axis=0, dtype=np.float64)
    inner[1:] += np.cumsum(told[:most][::-1], axis=0, dtype=np.float64)
    return inner


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
