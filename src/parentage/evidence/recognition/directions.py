"""One direction in every change: W - s r (r^T W) in each matrix that writes to the hidden state.

The direction is estimated from all changes together, whole matrices are made again with it by the rule of
``methods.abliteration``, and the numbers that come out are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.replaying import replay_tensor
from parentage.numerics.formats import to_float64
from parentage.numerics.low_rank_change import LowRank
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["direction_of"]

# Matrices of at most so many elements are read whole for it, at most so many of them.
LARGEST: Final = 2**24
MOST: Final = 32
STEPS: Final = 40
# Strengths this near to one are one.
NEAR_ONE: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Whole:
    """A matrix before, and its change; the hidden state along rows (``last`` False) or columns."""

    name: str
    before: NDArray[np.float64]
    delta: NDArray[np.float64]
    last: bool

    def towards(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the direction is of the matrix before: r^T W, or W r."""
        return self.before @ direction if self.last else direction @ self.before

    def change(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of the change."""
        return self.delta @ direction if self.last else direction @ self.delta


def direction_of(
    looked: Sequence[tuple[str, LowRank]], model: int, context: Context
) -> dict[str, Any] | None:
    """None where not every change that was looked at is of rank one."""
    if len(looked) < 2 or any(x.rank != 1 for _, x in looked):
        return None
    size = _common(looked, context)
    wholes = [] if size is None else [w for n, _ in looked[:MOST] if (w := _whole(n, model, size, context))]
    if size is None or len(wholes) < len(looked):
        return None
    direction = _leading(wholes, size)
    rows = [_row(w, direction) for w in wholes]
    strength = float(np.median([r["strength"] for r in rows]))
    used = 1.0 if abs(strength - 1) <= NEAR_ONE else strength
    counts = [_replayed(w, direction, used, model, context) for w in wholes]
    return {
        "size": size,
        "strength": strength,
        "used": used,
        "rows": rows,
        "informative": sum(c[0] for c in counts),
        "matches": sum(c[1] for c in counts),
        "adjacent": sum(c[2] for c in counts),
    }


def _common(looked: Sequence[tuple[str, LowRank]], context: Context) -> int | None:
    """The extent that all matrices have: of the hidden state. Rows go first where both would do."""
    shapes = [context.groups[n].suspect.shape for n, _ in looked]
    both = set(shapes[0]).intersection(*map(set, shapes[1:]))
    rows = {s[0] for s in shapes}
    return min(both & rows or both, default=None)


def _whole(name: str, model: int, size: int, context: Context) -> _Whole | None:
    operands = context.operands(name, (0, model))
    if operands is None or operands.elements > LARGEST:
        return None
    after, before = (
        to_float64(p.bits(0, operands.elements), p.tensor.dtype).reshape(operands.shape)
        for p in operands.parts
    )
    delta = after - before
    # Of a square matrix the side that the change lies along.
    last = operands.shape[0] != size
    if not last and operands.shape[1] == size:
        last = _less_alike(delta, before)
    return _Whole(name, before, delta, last) if np.isfinite(delta).all() else None


def _less_alike(delta: NDArray[np.float64], before: NDArray[np.float64]) -> bool:
    """Is a change of rank one u v^T rather W r r^T (v the direction) than r r^T W (u the direction)?"""
    u, v = _vectors(delta)
    return _alike(v, u @ before) < _alike(u, before @ v)


def _vectors(delta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest singular value's vectors, by power iteration from the largest row."""
    v = delta[int(np.argmax(np.einsum("ij,ij->i", delta, delta)))]
    for _ in range(STEPS):
        u = _unit(delta @ v)
        v = _unit(u @ delta)
    return u, v


def _leading(wholes: Sequence[_Whole], size: int) -> NDArray[np.float64]:
    """The direction that most of all changes lies along, each counted alike."""
    gram = np.zeros((size, size))
    for w in wholes:
        own = w.delta.T @ w.delta if w.last else w.delta @ w.delta.T
        whole = float(np.trace(own))
        gram += own / whole if whole else own
    vectors = np.linalg.eigh(gram)[1]
    found: NDArray[np.float64] = vectors[:, -1]
    # A direction and its opposite are one.
    return np.asarray(found * np.sign(found[int(np.argmax(np.abs(found)))]), np.float64)


def _row(w: _Whole, direction: NDArray[np.float64]) -> dict[str, Any]:
    """How much of the change lies along the direction, and whether it is what the matrix had there."""
    along, had = w.change(direction), w.towards(direction)
    energy = float(np.sum(w.delta**2))
    return {
        "name": w.name,
        "last": w.last,
        "along": float(along @ along) / energy if energy else 0.0,
        "alike": -float(along @ had) / _length(along, had),
        "strength": -float(along @ had) / float(had @ had) if np.any(had) else 0.0,
    }


def _replayed(
    w: _Whole, direction: NDArray[np.float64], strength: float, model: int, context: Context
) -> tuple[int, int, int]:
    arrays = {w.name: {"direction": direction.astype(np.float32)}}
    numbers = Numbers((), {"strength": strength, "last": w.last})
    candidate = Candidate("abliteration", (model,), None, numbers, "parentage-1", DType.F32, arrays=arrays)
    counted = replay_tensor(candidate, w.name, context)
    return (0, 0, 0) if counted is None else (counted.informative, counted.matches, counted.adjacent)


def _alike(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return abs(float(x @ y)) / _length(x, y)


def _length(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(x) * np.linalg.norm(y)) or 1.0


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / (float(np.linalg.norm(x)) or 1.0)
