"""Abliteration: take one direction out of what a matrix writes to, or reads from, the residual stream.

Arditi et al., "Refusal in language models is mediated by a single direction", arXiv 2406.11717. With r of
length one: W - strength * r (r^T W) for matrices whose first dimension is the stream; W - strength (W r)
r^T (``last``) for those whose last dimension is (embeddings). The direction is scaled to length one in
float64; projections are sums in float64, products and differences float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.adapter import array_of
from parentage.methods.blocks import rows_of
from parentage.methods.grids import stored
from parentage.methods.method import Bits, Declared, Method, Parameters, Profile, Reader, Rule, Values
from parentage.methods.totals import OurSum

__all__ = ["ABLITERATION"]


@dataclass(frozen=True, slots=True)
class _Projected:
    """``direction`` along the stream; ``along`` [columns] = r^T W where that is the first dimension."""

    direction: Values
    along: Values | None
    strength: np.float32
    profile: Profile
    granularity: int

    def apply(self, start: int, values: Values) -> Bits:
        rows = values[0].reshape(-1, self.granularity)
        first = start // self.granularity
        with np.errstate(all="ignore"):
            if self.along is not None:
                left = self.direction[first : first + rows.shape[0]] * self.strength
                removed = left[:, None] * self.along
            else:
                shares = np.array([_dot(row, self.direction) for row in rows], np.float32) * self.strength
                removed = shares[:, None] * self.direction
            return stored(rows - removed, self.profile.out)


def _dot(x: Values, y: Values) -> np.float32:
    total = OurSum()
    total.add(np.multiply(x, y, dtype=np.float64))
    return total.result()


def _along(reader: Reader, direction: Values, row: int) -> Values:
    """r^T W [columns], rows added in order in float64."""
    total: NDArray[np.float64] = np.zeros(row)
    for start, values in reader.chunks(rows=True):
        for i, x in enumerate(values[0].reshape(-1, row), start // row):
            total += np.float64(direction[i]) * x
    return total.astype(np.float32)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    if len(reader.shape) != 2:
        raise UsageError("a direction is taken out of matrices only", code="array-bad", where=name)
    last = bool(parameters.shared["last"])
    given = array_of(parameters, "direction", (reader.shape[1 if last else 0],), name).astype(np.float64)
    squares = OurSum()
    squares.add(given * given)
    if squares.wide == 0:
        raise UsageError("the direction is zero", code="array-bad", where=name)
    direction = (given / np.sqrt(squares.wide)).astype(np.float32)
    row = max(1, rows_of(reader.shape))
    along = None if last else _along(reader, direction, row)
    return _Projected(direction, along, np.float32(parameters.shared["strength"]), profile, row)


ABLITERATION: Final[Method] = Method(
    id="abliteration",
    relation="abliteration",
    about="one direction taken out of a matrix",
    paper="https://arxiv.org/abs/2406.11717",
    rule=_prepare,
    parameters=(
        Declared("strength", "how much of the direction is taken out", default=1.0),
        Declared("last", "the stream is the last dimension", kind="switch", default=False),
    ),
    models=(1, 1),
    profiles=("parentage-1",),
)
