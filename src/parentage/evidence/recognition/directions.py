"""One direction in every change: W - s r (r^T W) in each matrix that writes to the hidden state.

The direction is estimated from all changes together, whole matrices are made again with it by the rule of
``methods.abliteration``, and the numbers that come out are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.replaying import replay_tensor
from parentage.evidence.recognition.strengths import LEVEL, Strength, strength_of
from parentage.merging.operands import Operands
from parentage.numerics.matrices.low_rank_change import LowRank
from parentage.numerics.storage.formats import to_float64
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["direction_of"]

# Matrices that the direction is estimated from, and rows or columns along it that are read of each: with a
# hidden state of 8,192 numbers 256 MB in all.
MOST: Final = 8
WIDE: Final = 256
# Matrices that are made again whole, the smallest first, up to so many elements together.
REPLAYED: Final = 2**24
STEPS: Final = 60
# Strengths this near to one are one.
NEAR_ONE: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Slice:
    """Part of a matrix before, and of its change, [hidden, some]: columns of it, or where the hidden state
    is its ``last`` dimension rows, turned."""

    name: str
    before: NDArray[np.float64]
    delta: NDArray[np.float64]
    last: bool

    def alike(self, direction: NDArray[np.float64]) -> float:
        """Cosine of what changed along a direction and what was there, less one for opposite."""
        along, had = direction @ self.delta, direction @ self.before
        return -float(along @ had) / _length(along, had)


def direction_of(
    looked: Sequence[tuple[str, LowRank]], model: int, context: Context
) -> dict[str, Any] | None:
    """None where not every change that was looked at is of rank one."""
    if len(looked) < 2 or any(x.rank != 1 for _, x in looked):
        return None
    size = _common(looked, context)
    step = -(-len(looked) // MOST)
    slices = [] if size is None else [_slice(n, model, size, context) for n, _ in looked[::step]]
    known = [x for x in slices if x is not None]
    if size is None or len(known) < max(len(slices), 1):
        return None
    direction = _leading(known)
    rows = [_row(x, direction) for x in known]
    told = _told(known, context)
    strength = float(np.median([r["strength"] for r in rows])) if told is None else told.estimate
    used = 1.0 if abs(strength - 1) <= NEAR_ONE else strength
    counts = [_replayed(x, direction, used, model, context) for x in _smallest(known, context)]
    return {
        "size": size,
        "strength": strength,
        **({} if told is None else {"low": told.low, "high": told.high, "level": LEVEL}),
        "used": used,
        "rows": rows,
        "informative": sum(c[0] for c in counts),
        "matches": sum(c[1] for c in counts),
        "adjacent": sum(c[2] for c in counts),
    }


def _told(known: Sequence[_Slice], context: Context) -> Strength | None:
    """The strength and its interval; None of one matrix, and where a direction says nothing."""

    def estimate(changes: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], list[float]]:
        slices = [replace(x, delta=d) for x, d in zip(known, changes, strict=True)]
        direction = _leading(slices)
        return direction, [float(_row(x, direction)["strength"]) for x in slices]

    changes = [x.delta for x in known]
    if len(known) < 2 or not all(s > 0 for s in estimate(changes)[1]):
        return None
    return strength_of([x.before for x in known], changes, context.held, estimate)


def _common(looked: Sequence[tuple[str, LowRank]], context: Context) -> int | None:
    """The extent that all matrices have: of the hidden state. Rows go first where both would do."""
    shapes = [context.groups[n].suspect.shape for n, _ in looked]
    both = set(shapes[0]).intersection(*map(set, shapes[1:]))
    rows = {s[0] for s in shapes}
    return min(both & rows or both, default=None)


def _slice(name: str, model: int, size: int, context: Context) -> _Slice | None:
    """Along the side that is the hidden state; of a square matrix the one that explains the change."""
    operands = context.operands(name, (0, model))
    if operands is None:
        return None
    sides = [last for last in (False, True) if operands.shape[1 if last else 0] == size]
    found = [x for last in sides if (x := _read(name, operands, last)) is not None]
    return max(found, key=lambda x: x.alike(_leading([x])), default=None)


def _read(name: str, operands: Operands, last: bool) -> _Slice | None:
    rows, columns = operands.shape
    own = []
    for part in operands.parts:
        if last:
            picked = np.unique(np.linspace(0, rows - 1, min(rows, WIDE)).astype(np.int64))
            bits = [part.bits(int(r) * columns, columns) for r in picked]
        else:
            width = min(columns, WIDE)
            first = (columns - width) // 2
            bits = [part.bits(r * columns + first, width) for r in range(rows)]
        values = to_float64(np.concatenate(bits), part.tensor.dtype).reshape(len(bits), -1)
        own.append(values.T if last else values)
    after, before = own
    return _Slice(name, before, after - before, last) if np.isfinite(after - before).all() else None


def _leading(slices: Sequence[_Slice]) -> NDArray[np.float64]:
    """The direction that most of all changes lies along, each counted alike: power iteration from the
    largest of their columns."""
    columns = [x.delta[:, int(np.argmax(np.einsum("ij,ij->j", x.delta, x.delta)))] for x in slices]
    found = _unit(columns[0])
    sizes = [float(np.sum(x.delta**2)) or 1.0 for x in slices]
    for _ in range(STEPS):
        found = _unit(
            np.sum([x.delta @ (found @ x.delta) / s for x, s in zip(slices, sizes, strict=True)], axis=0)
        )
    # A direction and its opposite are one.
    return np.asarray(found * np.sign(found[int(np.argmax(np.abs(found)))]), np.float64)


def _smallest(slices: Sequence[_Slice], context: Context) -> list[_Slice]:
    """Those that are made again."""
    ordered = sorted(slices, key=lambda x: (context.groups[x.name].suspect.elements, x.name))
    chosen, together = list[_Slice](), 0
    for x in ordered:
        together += context.groups[x.name].suspect.elements
        if together <= REPLAYED or not chosen:
            chosen.append(x)
    return chosen


def _row(x: _Slice, direction: NDArray[np.float64]) -> dict[str, Any]:
    """How much of the change lies along the direction, and whether it is what the matrix had there."""
    along, had = direction @ x.delta, direction @ x.before
    energy = float(np.sum(x.delta**2))
    return {
        "name": x.name,
        "last": x.last,
        "along": float(along @ along) / energy if energy else 0.0,
        "alike": x.alike(direction),
        "strength": -float(along @ had) / float(had @ had) if np.any(had) else 0.0,
    }


def _replayed(
    x: _Slice, direction: NDArray[np.float64], strength: float, model: int, context: Context
) -> tuple[int, int, int]:
    arrays = {x.name: {"direction": direction.astype(np.float32)}}
    numbers = Numbers((), {"strength": strength, "last": x.last})
    candidate = Candidate("abliteration", (model,), None, numbers, "parentage-1", DType.F32, arrays=arrays)
    counted = replay_tensor(candidate, x.name, context)
    return (0, 0, 0) if counted is None else (counted.informative, counted.matches, counted.adjacent)


def _length(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(x) * np.linalg.norm(y)) or 1.0


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / (float(np.linalg.norm(x)) or 1.0)
