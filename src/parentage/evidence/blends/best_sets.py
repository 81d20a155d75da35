"""Which few models explain the suspect best: a ranking of sets by what their best blend leaves.

In each matrix, what the best weights (of sum 1) leave is measured against the nearest model alone, so
that every matrix has the same say and a suspect whose parts have different sources is seen as well.
Least squares is biased by rounding as an estimate; as a ranking it serves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.inputs.brief_look import Look

__all__ = ["best_set"]

# A further parent must explain this share of what the others leave beyond the suspect's own rounding; a
# sibling explains up to a tenth of it in a tied embedding.
WORTH = 0.2
# And this share of all that they leave: a model that has nothing to do with it explains 1/4096.
SEEN = 0.01
# Deltas are kept in float32: what is left below this share of them is nothing.
NOTHING = 1e-9


def best_set(looks: Sequence[Look], most: int) -> list[Look]:
    """The pair whose line passes nearest to the suspect, and further models while they are worth it.

    Nearest first: the reference of the differences, the farthest, comes last. A model with the
    suspect's own numbers is the whole answer.
    """
    ordered = sorted(looks, key=lambda c: (c.distance, c.place))
    same = [c for c in ordered if c.same]
    if same or len(ordered) < 2:
        return (same or ordered)[:1]
    left = _Left(ordered)
    chosen = list(left.best_pair())
    while len(chosen) < min(most, len(ordered)):
        now = left.of(chosen)
        rest = [k for k in range(len(ordered)) if k not in chosen]
        best, following = min((left.of([*chosen, k]), k) for k in rest)
        if now - best <= max(SEEN * now, WORTH * (now - left.floor)):
            break
        chosen.append(following)
    return [ordered[k] for k in sorted(chosen)]


class _Left:
    """What sets of models leave unexplained, from the inner products of their deltas by matrix."""

    def __init__(self, looks: Sequence[Look]) -> None:
        names = sorted({name for look in looks for name in look.deltas})
        self._present = [np.array([name in look.deltas for look in looks]) for name in names]
        self._grams = [_gram(looks, name) for name in names]
        self.floor = float(
            np.mean([_floor(looks, *m) for m in zip(names, self._grams, self._present, strict=True)])
        )

    def best_pair(self) -> tuple[int, int]:
        """The first of the best, in the models' order."""
        shares = np.mean([_pairs(g, p) for g, p in zip(self._grams, self._present, strict=True)], axis=0)
        shares[np.tril_indices_from(shares)] = np.inf
        first, second = np.unravel_index(int(np.argmin(shares)), shares.shape)
        return int(first), int(second)

    def of(self, chosen: Sequence[int]) -> float:
        """The mean share, over matrices, that the set leaves of what the nearest model leaves."""
        return float(np.mean([_set(g, p, chosen) for g, p in zip(self._grams, self._present, strict=True)]))


def _floor(
    looks: Sequence[Look], name: str, gram: NDArray[np.float64], present: NDArray[np.bool_]
) -> float:
    """What the suspect's own rounding must leave, as a share like the others'."""
    look = next(look for look in looks if name in look.floors)
    nearest, size = float(np.diag(gram)[present].min()), look.deltas[name].size
    return min(1.0, look.floors[name] * size / nearest) if nearest > 0 else 0.0


def _gram(looks: Sequence[Look], name: str) -> NDArray[np.float64]:
    size = next(look.deltas[name].size for look in looks if name in look.deltas)
    nothing = np.zeros(size, np.float32)
    deltas = np.stack([look.deltas.get(name, nothing) for look in looks]).astype(np.float64)
    return np.asarray(deltas @ deltas.T)


def _pairs(gram: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    own = np.diag(gram)
    apart = own[:, None] + own[None, :] - 2 * gram
    along = own[None, :] - gram
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.where(apart > 0, along * along / apart, 0.0)
    left = own[None, :] - explained
    alone = np.where(present, own, np.inf)
    both = present[:, None] & present[None, :]
    return _shares(np.where(both, left, np.minimum(alone[:, None], alone[None, :])), own, present)


def _set(gram: NDArray[np.float64], present: NDArray[np.bool_], chosen: Sequence[int]) -> float:
    here = [k for k in chosen if present[k]]
    if not here:
        return 1.0
    *others, reference = here
    left = gram[reference, reference]
    if others:
        moves = gram[np.ix_(others, others)] - gram[others, reference][:, None]
        moves = moves - gram[others, reference][None, :] + gram[reference, reference]
        along = gram[reference, reference] - gram[others, reference]
        left = left - along @ np.linalg.lstsq(moves, along, rcond=1e-10)[0]
    return float(_shares(np.array(left), np.diag(gram), present))


def _shares(
    left: NDArray[np.float64], own: NDArray[np.float64], present: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Of what the nearest model alone leaves; where that is nothing, nothing or all of it."""
    nearest, floor = float(own[present].min()), NOTHING * float(own[present].max())
    if nearest <= floor:
        return np.where(left <= floor, 0.0, 1.0)
    return np.clip(np.where(left <= floor, 0.0, left) / nearest, 0.0, 1.0)
