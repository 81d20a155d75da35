"""Tensors that recipe after recipe is held against: each is read once, decoded once, compared from memory.

A search replays hundreds of recipes on the same few tensors. What no recipe moves is kept: the stored bits,
the operands' numbers, where they differ, and what a method's own passes come to (``methods.method.once``).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.merging.operands import Operand, Operands, decode_into
from parentage.methods.method import Bits, Values
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType

__all__ = ["Against", "Memory", "ProbeOperand", "ProbeOperands"]

# Bytes of decoded operands and comparisons that are kept: of a probe of six matrices of 10,000 elements
# and four models, every set and order of them, 20 MB. What exceeds it is decoded anew each time.
ROOM: Final = 2**26


@dataclass(frozen=True)
class Against:
    """What a replay of some operands is compared with, of elements [n]. ``theirs``: the suspect's numbers;
    ``known``: those where it and the operands are finite; ``differ``: where the operands, stored as the
    suspect is, are not all equal; ``copies`` [K, n]: those stored operands."""

    bits: Bits
    theirs: Values
    known: NDArray[np.bool_]
    differ: NDArray[np.bool_]
    copies: Values

    @classmethod
    def of(cls, bits: Bits, values: Values, stored: DType) -> Against:
        """From the suspect's storage bits [n] and the operands' exact values [K, n]."""
        bits = np.ascontiguousarray(bits)
        theirs = to_float32(bits, stored)
        copies = np.stack([to_float32(round_to(row, stored), stored) for row in values])
        differ = (copies[1:] != copies[0]).any(axis=0)
        return cls(bits, theirs, np.isfinite(theirs) & np.isfinite(values).all(axis=0), differ, copies)

    def part(self, start: int, count: int) -> Against:
        """Elements ``start`` to ``start + count``."""
        if start == 0 and count == self.bits.size:
            return self
        some = slice(start, start + count)
        return Against(
            self.bits[some], self.theirs[some], self.known[some], self.differ[some], self.copies[:, some]
        )

    @property
    def nbytes(self) -> int:
        """Of all of it."""
        return sum(x.nbytes for x in (self.bits, self.theirs, self.known, self.differ, self.copies))


class Memory:
    """What is kept of one audit's probe. Safe for threads: what is read is read by the first that asks."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._bits: dict[tuple[str, int], Bits] = {}
        self._sets: dict[tuple[str, tuple[int, ...], int | None], ProbeOperands] = {}
        self._values: dict[tuple[str, tuple[int, ...]], Values] = {}
        self._against: dict[tuple[str, int, tuple[int, ...]], Against] = {}
        self._left = ROOM

    def bits(self, operand: ProbeOperand) -> Bits:
        """All of a tensor as it is stored [n]; not to be written to."""
        with self._lock:
            if operand.key not in self._bits:
                self._bits[operand.key] = operand.checkpoint.read(operand.tensor, 0, operand.elements)
            return self._bits[operand.key]

    def known(self, name: str, models: tuple[int, ...], base: int | None) -> ProbeOperands | None:
        """Operands that were asked for before."""
        return self._sets.get((name, models, base))

    def operands(self, name: str, outline: Operands, models: tuple[int, ...]) -> ProbeOperands:
        """A probe tensor of some models, the same object for each who asks."""
        key = (name, models, outline.base)
        with self._lock:
            if key not in self._sets:
                kept = [
                    ProbeOperand(p.checkpoint, p.tensor, (name, k), outline.elements, self)
                    for p, k in zip(outline.parts, models, strict=True)
                ]
                self._sets[key] = ProbeOperands(
                    kept, outline.shape, outline.base, name=name, which=models, memory=self
                )
            return self._sets[key]

    def values(self, operands: ProbeOperands) -> Values | None:
        """Their numbers [models, n], not to be written to; None where there is no room for them."""
        key = (operands.name, operands.which)
        with self._lock:
            if key not in self._values:
                if not self._takes(4 * operands.models * operands.elements):
                    return None
                self._values[key] = operands.decoded(0, operands.elements)
            return self._values[key]

    def against(self, operands: ProbeOperands, own: ProbeOperands) -> Against | None:
        """What a replay of the operands is compared with; None where there is no room for it."""
        values = self.values(operands)
        if values is None:
            return None
        key = (operands.name, own.which[0], operands.which)
        with self._lock:
            if key not in self._against:
                if not self._takes((4 * operands.models + 10) * operands.elements):
                    return None
                part = own.parts[0]
                found = Against.of(part.bits(0, own.elements), values, part.tensor.dtype)
                self._against[key] = found
            return self._against[key]

    def _takes(self, nbytes: int) -> bool:
        held = nbytes <= self._left
        self._left -= nbytes if held else 0
        return held


@dataclass(frozen=True, slots=True)
class ProbeOperand(Operand):
    """An operand of which all bits are read at once, by the first who needs any."""

    key: tuple[str, int]
    elements: int
    memory: Memory

    def bits(self, start: int, count: int) -> Bits:
        """Storage bits [count] from element ``start`` on."""
        return self.memory.bits(self)[start : start + count].copy()

    def bits_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """The same of 16 bits each, to ``out`` [n]."""
        out[:] = self.memory.bits(self)[start : start + out.size]

    def values_into(self, start: int, out: Values) -> None:
        """Exact values [n] from element ``start`` on."""
        kept = self.memory.bits(self)[start : start + out.size]
        decode_into(kept, self.tensor.dtype, out)


@dataclass(frozen=True, kw_only=True)
class ProbeOperands(Operands):
    """A ``methods.method.Reader`` over operands that stay in memory; ``which``: the models. Its values are
    not to be written to."""

    name: str
    which: tuple[int, ...]
    memory: Memory
    known: dict[Hashable, Any] = field(default_factory=dict)
    """What methods' passes over them came to."""

    def decoded(self, start: int, count: int) -> Values:
        """Exact values [models, count] from element ``start`` on, decoded anew."""
        return Operands.read(self, start, count)

    def read(self, start: int, count: int) -> Values:
        """Exact values [models, count] from element ``start`` on."""
        whole = self.memory.values(self)
        if whole is None:
            return self.decoded(start, count)
        return whole if count == whole.shape[1] else np.ascontiguousarray(whole[:, start : start + count])
