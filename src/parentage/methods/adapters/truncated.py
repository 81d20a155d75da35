"""Combinations of the adapters' changes themselves, cut back to a low rank by singular values.

peft 0.21 makes each change s_k B_k A_k in float32, mixes them (``mixing``; ``svd``: their weighted sum),
and keeps the leading singular triples: B = U S, A = V. Its decomposition is LAPACK's in float32 on the
whole matrix; ours is float64 and holds no matrix (``matrices.truncated_svd``), so the last bits of the
factors are not the tool's, nor those of a tool with another LAPACK. Which triples are kept is the same
where the last singular value kept and the first one dropped differ by more than rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile, gettempdir
from typing import IO, Final

import numpy as np

from parentage.errors import OutputError, UsageError
from parentage.methods.adapter import Adapted
from parentage.methods.adapters.factors import additions_of, factors_of, scaling_of
from parentage.methods.adapters.mixing import Drawn, Mixed, Mixing, Stack, kept
from parentage.methods.blocks import rows_of
from parentage.methods.draws import CounterDraws, TorchDraws
from parentage.methods.method import Parameters, Profile, Reader, Rule, Values
from parentage.methods.parameters import Additions
from parentage.numerics.matrices.low_rank import product
from parentage.numerics.matrices.truncated_svd import (
    Bands,
    Factor,
    krylov_numbers,
    truncated_bands,
    truncated_product,
)

__all__ = ["by_svd", "words_of_changes"]

# Elements of a band of rows: 4 MB a change in float32.
BAND: Final = 1 << 20
# Numbers of float64 that a decomposition by bands holds: 200 MB.
MOST_NUMBERS: Final = 3 << 23
# Numbers of all factors together, 4 bytes each: two adapters of rank 64 over an embedding of 128,256 tokens
# and a width of 4,096 have 17 million.
MOST_FACTORS: Final = 9 << 21


@dataclass(frozen=True, slots=True)
class _Changes:
    """The adapters' changes of one matrix [m, n], by rows: ``left`` [m, rank], ``right`` [rank, n] each."""

    left: tuple[Values, ...]
    right: tuple[Values, ...]
    scalings: tuple[np.float32, ...]
    shape: tuple[int, int]
    fused: bool

    @property
    def step(self) -> int:
        return max(1, BAND // self.shape[1])

    def rows(self, first: int, last: int) -> Values:
        """[adapters, (last - first) · n] in float32, as peft makes them."""
        made = [
            product(b[first:last], a, fused=self.fused) * s
            for b, a, s in zip(self.left, self.right, self.scalings, strict=True)
        ]
        return np.stack(made).reshape(len(made), -1)

    def blocks(self) -> Iterator[tuple[int, Values]]:
        for first in range(0, self.shape[0], self.step):
            yield first * self.shape[1], self.rows(first, min(first + self.step, self.shape[0]))

    def look(self, start: int, count: int) -> Values:
        n = self.shape[1]
        first, last = start // n, -(-(start + count) // n)
        return self.rows(first, last)[:, start - first * n :][:, :count]


def by_svd(mixing: Mixing, reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    """Mix changes, keep the leading triples; raises ``UsageError`` (``adapter-rank-large``)."""
    found = additions_of(parameters, reader, name)
    m, n = reader.shape
    rank = int(parameters.shared["svd_rank"]) or max(found.ranks)
    _check_size(mixing, found, rank, (m, n), name)
    changes = _changes(found, (m, n), profile, name)
    if mixing.prune == "none" and not mixing.elect:
        left, right = truncated_product(*_side_by_side(changes, found), rank)
    else:
        with TemporaryFile() as file:
            make = _mixing(mixing, changes, found, parameters, profile, name)
            left, right = truncated_bands(_written(file, changes, make), rank)
    return Adapted(
        np.ascontiguousarray(right, np.float32),
        np.ascontiguousarray(left, np.float32),
        None,
        np.float32(scaling_of(rank, found, profile)),
        found.rounded,
        profile,
        max(1, rows_of(reader.shape)),
    )


def _check_size(mixing: Mixing, found: Additions, rank: int, shape: tuple[int, int], name: str) -> None:
    """Before memory is taken."""
    whole = sum(found.ranks)
    plain = mixing.prune == "none" and not mixing.elect
    numbers = 0 if plain else krylov_numbers(shape, min(rank, *shape))
    if numbers > MOST_NUMBERS or whole * sum(shape) > MOST_FACTORS:
        raise UsageError(
            f"a decomposition of {list(shape)} to the rank {rank:,}, of adapters of {whole:,} ranks in "
            f"all, takes more memory than a merge may",
            code="adapter-rank-large",
            where=name,
            hint="a smaller svd_rank, or adapter_cat, which decomposes nothing",
        )


def _changes(found: Additions, shape: tuple[int, int], profile: Profile, name: str) -> _Changes:
    read = [factors_of(part, shape, found.turned, name) for part in found.parts]
    sides = [(a.T, b.T) if found.turned else (b, a) for a, b in read]
    return _Changes(
        tuple(np.ascontiguousarray(left) for left, _ in sides),
        tuple(np.ascontiguousarray(right) for _, right in sides),
        tuple(np.float32(part.scaling) for part in found.parts),
        shape,
        fused=not profile.ours,
    )


def _side_by_side(changes: _Changes, found: Additions) -> tuple[Factor, Factor]:
    """Factors of the weighted sum; the shorter one is weighted, in float64."""
    left, right = list[Factor](changes.left), list[Factor](changes.right)
    short = right if changes.shape[1] <= changes.shape[0] else left
    for k, part in enumerate(found.parts):
        short[k] = short[k].astype(np.float64) * (part.weight * part.scaling)
    return np.concatenate(left, axis=1), np.concatenate(right)


def _mixing(
    mixing: Mixing,
    changes: _Changes,
    found: Additions,
    parameters: Parameters,
    profile: Profile,
    name: str,
) -> Mixed:
    rows, elements = len(found.parts), changes.shape[0] * changes.shape[1]
    stack = Stack(rows, elements, changes.blocks, changes.look)
    density = float(parameters.shared.get("density", 1.0))
    drawn = _drawn(mixing, parameters, profile, name, elements)
    keeping = kept(mixing, stack, density, drawn, as_tool=not profile.ours)
    weights = np.array([part.weight for part in found.parts], np.float32)
    by_count = bool(parameters.shared.get("by_count", False))
    return Mixed(mixing, keeping, weights, elements, by_count)


def _written(file: IO[bytes], changes: _Changes, make: Mixed) -> Bands:
    """The mixed matrix, made once and read from a file as often as a decomposition looks at it: to make it
    anew takes seconds a look."""
    shape, step = changes.shape, changes.step
    try:
        for start, x in changes.blocks():
            file.write(make(start, x).tobytes())
        file.flush()
    except OSError as error:
        raise OutputError(
            f"no room for a temporary file of {4 * shape[0] * shape[1]:,} bytes: {error.strerror}",
            code="output-no-space",
            where=gettempdir(),
            hint="free some space, or name a folder elsewhere with TMPDIR",
        ) from None

    def bands() -> Iterator[tuple[int, Values]]:
        file.seek(0)
        for first in range(0, shape[0], step):
            rows = min(step, shape[0] - first)
            held = np.frombuffer(file.read(4 * rows * shape[1]), np.float32)
            yield first, held.reshape(rows, shape[1])

    return Bands(shape, bands)


def _drawn(
    mixing: Mixing, parameters: Parameters, profile: Profile, name: str, elements: int
) -> Drawn | None:
    if mixing.prune != "random":
        return None
    if profile.ours:
        return Drawn(CounterDraws(parameters.seed, name))
    return Drawn(TorchDraws(parameters.seed, parameters.drawn, elements))


def words_of_changes(reader: Reader, parameters: Parameters, profile: Profile) -> int:
    """Random words that one tensor takes from the tool's stream."""
    found: Sequence[object] = () if parameters.additions is None else parameters.additions.parts
    return 0 if float(parameters.shared["density"]) >= 1 else len(found) * reader.elements
