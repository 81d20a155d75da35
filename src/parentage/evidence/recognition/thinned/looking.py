"""Is the suspect a merge of thinned task vectors, by any set of the models? Read on whole probe tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from parentage.evidence.recognition.context import Context
from parentage.methods.estimates.participation import UNITS, Parts
from parentage.methods.estimates.readings import Reading, Thinned, read, together
from parentage.methods.estimates.structures import MOST_PARENTS
from parentage.methods.grids import on_grid
from parentage.methods.task_vectors import Deltas
from parentage.numerics.storage.cells import rounding_cells
from parentage.records.dtypes import DType

__all__ = ["Look", "looks", "parts_of"]

# Elements of all tensors that are read so together: a second of one core for two parents.
TOGETHER: Final = 2**20
# Tensors whose own peaks may mislead.
MISLED: Final = 2


@dataclass(frozen=True, slots=True)
class Look:
    """``operands``: the base, then the parents; ``dtype``: what the merger computed in. ``names``: the
    tensors that were read, in the order of the readings."""

    operands: tuple[int, ...]
    dtype: DType
    names: tuple[str, ...]
    thinned: Thinned


def looks(context: Context) -> tuple[Look, ...]:
    """Every set of models that explains all elements that tell, in every tensor that tells."""
    return cast(tuple[Look, ...], context.once("thinned", lambda: tuple(_looks(context))))


def _looks(context: Context) -> Iterator[Look]:
    for models in context.sets(2, MOST_PARENTS + 1):
        for base in (b for b in context.bases if b in models):
            operands = (base, *(k for k in models if k != base))
            for dtype in context.dtypes:
                found = _look(context, operands, dtype)
                if found is not None:
                    yield found


def _look(context: Context, operands: tuple[int, ...], dtype: DType) -> Look | None:
    readings, elements = dict[str, Reading](), 0
    # A tensor whose own peaks mislead is read by what others say, once they do.
    waiting = dict[str, tuple[Parts, int]]()
    for name in context.probes:
        parts, row = parts_of(context, name, operands, dtype) or (None, 0)
        if parts is None or (readings and elements + parts.base.size > TOGETHER):
            continue
        elements += parts.base.size
        reading = read(parts, row)
        if reading is not None and reading.holds:
            readings[name] = reading
        elif reading is not None or _speaks(parts):
            waiting[name] = parts, row
            if len(waiting) > MISLED:
                return None
    known = [r.structure for r in readings.values()]
    for name, (parts, row) in waiting.items() if known else ():
        reading = read(parts, row, known)
        if reading is None or not reading.holds:
            return None
        readings[name] = reading
    names = [n for n in context.probes if n in readings]
    found = together([readings[n] for n in names])
    return None if found is None else Look(operands, dtype, tuple(names), found)


def _speaks(parts: Parts) -> bool:
    """Would a merge of these parents have left a trace here? Then no trace is an answer."""
    moved = (parts.deltas != 0).all(axis=0)
    return bool(np.count_nonzero(moved & parts.changed) > SPEAKING)


# Changed elements that every parent moved, of which some would have told a merge's coefficients.
SPEAKING: Final = 2_000


def parts_of(
    context: Context,
    name: str,
    operands: Sequence[int],
    dtype: DType,
    count: int | None = None,
    subject: int = 0,
) -> tuple[Parts, int] | None:
    """A tensor as estimators see it, its first ``count`` elements or all, and the length of its rows; None
    where it cannot be read so."""
    group, own = context.operands(name, operands, 0), context.operands(name, (subject,))
    if group is None or own is None:
        return None
    n = group.elements if count is None else min(count, group.elements)
    values, stored = group.read(0, n), own.parts[0].tensor.dtype
    cells = rounding_cells(own.parts[0].bits(0, n), stored)
    if not (np.isfinite(values).all() and np.isfinite(cells.low).all()):
        return None
    with np.errstate(over="ignore"):
        deltas = Deltas.of(group, dtype)(values).astype(np.float64)
    base = on_grid(values[0], dtype).astype(np.float64)
    row = group.shape[-1] if group.shape else 1
    return Parts(base, deltas, cells.low, cells.high, stored, UNITS[dtype]), row
