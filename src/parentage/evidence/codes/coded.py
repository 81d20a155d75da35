"""A tensor's sample as codes: what other numbers would have been coded as, and what a code allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.formats.dequantised import read_codes
from parentage.checkpoints.formats.encodings import encoding_of
from parentage.evidence.codes.coded_blocks import TableCodes, read_k_codes
from parentage.evidence.sampling.positions import SamplePlan
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import magnitude_values
from parentage.numerics.storage.k_quants import K_QUANTS
from parentage.numerics.storage.quantizers import (
    BLOCK,
    GGUF_QUANTIZERS,
    ROUNDINGS,
    WITH_ZERO,
    CodeCells,
    code_float8,
    code_integers,
    quantize_blocks,
    unpack,
)
from parentage.records.dtypes import DType
from parentage.records.tensors import Dequantised, TensorRef

__all__ = ["Coded", "aligned_plan", "can_replay", "read_coded"]

Values = NDArray[np.float32]
Codes = NDArray[np.int16]
# A scale in binary16 stands for the float32 that the codes were made with, up to half a step of binary16.
HALF = 2.0**-11
TINY = 2.0**-25
# The last of the ways to round that are tried: any of them, number by number.
EITHER = "nearest, either way where float32 does not tell"
# Of the float32 products and sums between a number and its code.
FLOAT32 = 2.0**-22


class Coded(Protocol):
    """A sample of codes and the rules under which it may have come about."""

    @property
    def codes(self) -> Codes:
        """As stored [n]."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the quantisers that are tried, likeliest first."""

    def replay(self, values: Values, rule: str) -> Codes:
        """The codes that these numbers [n], at the same places, get."""

    def cells(self) -> CodeCells:
        """What the stored codes allow."""

    def scale_matches(self, values: Values) -> tuple[int, int]:
        """(equal, compared) scales that can be told from the sample alone."""

    def coded_as(self, values: Values, rule: str) -> Coded:
        """Another model's numbers, quantised as these were."""


def can_replay(ref: TensorRef) -> bool:
    """Whether a quantiser is known for this tensor's format."""
    plain = not ref.pieces and ref.order is None
    known = ref.encoding in GGUF_QUANTIZERS or ref.encoding in K_QUANTS
    return plain and (known or _whole_zeros(ref))


def _whole_zeros(ref: TensorRef) -> bool:
    """Codes with scales, whose zero points, if any, are codes themselves."""
    how = ref.dequantised
    return how is not None and not (how.zero_point is not None and how.zero_point.dtype.is_float)


def aligned_plan(ref: TensorRef, plan: SamplePlan) -> SamplePlan:
    """The whole blocks inside the same runs, where a block's scale goes with its codes: what is read for
    other measures is enough."""
    block = _block_of(ref)
    if plan.whole or not block or plan.length < 2 * block:
        return plan
    starts = -(-plan.starts // block) * block
    length = (plan.length - block) // block * block
    return SamplePlan(starts, length, False, starts.size * length)


def _block_of(ref: TensorRef) -> int:
    """How many neighbours make their scale among them by a rule; 0 where scales are taken as stored."""
    if ref.dequantised is not None:
        return ref.dequantised.blocks[-1] if ref.dequantised.table else 0
    return 0 if ref.encoding in K_QUANTS else BLOCK


def read_coded(checkpoint: Checkpoint, ref: TensorRef, plan: SamplePlan) -> Coded:
    """Read the codes of a plan that is aligned; ``can_replay`` holds."""
    if ref.dequantised is None:
        read = read_k_codes if ref.encoding in K_QUANTS else _read_blocks
        return read(checkpoint, ref, plan)
    runs = [read_codes(ref, int(s), plan.length, checkpoint.read) for s in plan.starts]
    codes = ref.dequantised.codes
    stored = np.concatenate([r.stored for r in runs])
    scales = np.concatenate([r.scales for r in runs]) * np.float32(ref.dequantised.factor)
    if ref.dequantised.table:
        bits = np.concatenate([r.bits for r in runs])
        block = _block_of(ref)
        whole = not (plan.length % block or (plan.starts % block).any())
        return TableCodes(
            bits.astype(np.int16),
            scales,
            ref.dequantised.table,
            block=block if whole else 0,
            coded_scales=ref.dequantised.scale.dequantised is not None,
        )
    if codes.dtype.is_float:
        bits = np.concatenate([r.bits for r in runs]).astype(np.uint8)
        return FloatCodes(bits, scales, codes.dtype)
    zeros = np.concatenate([r.zeros for r in runs]).astype(np.int16)
    return IntegerCodes(stored.astype(np.int16), scales, zeros, _range(ref.dequantised))


def _range(how: Dequantised) -> tuple[int, int]:
    """The least and the largest code, less what is taken off them where they have no zero points."""
    lowest = 0 if how.codes.dtype.value.startswith("U") else -(2 ** (how.bits - 1))
    lowest -= how.zero if how.zero_point is None else 0
    return lowest, lowest + 2**how.bits - 1


def _read_blocks(checkpoint: Checkpoint, ref: TensorRef, plan: SamplePlan) -> BlockCodes:
    nbytes = encoding_of(ref.encoding).nbytes
    # The same bytes as numbers of one byte: whole blocks are contiguous.
    raw = TensorRef(ref.name, DType.U8, (ref.end - ref.begin,), ref.shard, ref.begin, ref.end)
    length = plan.length // BLOCK * nbytes
    found = [checkpoint.read(raw, int(s) // BLOCK * nbytes, length) for s in plan.starts]
    blocks = unpack(np.concatenate(found).astype(np.uint8).reshape(-1, nbytes), ref.encoding)
    return BlockCodes(ref.encoding, blocks.codes.reshape(-1), blocks.scales)


@dataclass(frozen=True, slots=True)
class BlockCodes:
    """Codes of GGUF blocks [n], and their scales [n / 32, 1 or 2]."""

    format_: str
    codes: Codes
    scales: NDArray[np.float16]

    @property
    def rules(self) -> tuple[str, ...]:
        """The format has one."""
        return (f"ggml's reference quantiser of {self.format_}",)

    def replay(self, values: Values, rule: str) -> Codes:
        """See :class:`Coded`."""
        return quantize_blocks(values.reshape(-1, BLOCK), self.format_).codes.reshape(-1)

    def scale_matches(self, values: Values) -> tuple[int, int]:
        """Blocks whose scales, all of them, come out bit for bit."""
        made = quantize_blocks(values.reshape(-1, BLOCK), self.format_).scales
        same = (made.view(np.uint16) == self.scales.view(np.uint16)).all(axis=1)
        return int(np.count_nonzero(same)), int(same.size)

    def coded_as(self, values: Values, rule: str) -> BlockCodes:
        """See :class:`Coded`."""
        made = quantize_blocks(values.reshape(-1, BLOCK), self.format_)
        return BlockCodes(self.format_, made.codes.reshape(-1), made.scales)

    def cells(self) -> CodeCells:
        """Half a step on either side, and what rounding the scales to binary16 hides."""
        rule = GGUF_QUANTIZERS[self.format_]
        wide = np.repeat(self.scales.astype(np.float64), BLOCK, axis=0)
        step, least = wide[:, 0], wide[:, 1] if wide.shape[1] > 1 else np.zeros(len(wide))
        place = self.codes.astype(np.float64) - (rule.offset or 0)
        with np.errstate(all="ignore"):
            ends = np.stack([(place - 0.5) * step, (place + 0.5) * step])
            slack = np.abs(ends) * HALF + (np.abs(place) + 1) * TINY + np.abs(step) * 32 * FLOAT32
            slack = slack + np.abs(least) * HALF + TINY
            low = np.minimum(ends[0] - slack[0], ends[1] - slack[1]) + least
            high = np.maximum(ends[0] + slack[0], ends[1] + slack[1]) + least
        first, last = (-127, 127) if self.format_ == "Q8_0" else (0, rule.levels - 1)
        inner = (self.codes > first) & (self.codes < last) & (step != 0)
        return CodeCells(low, high, inner & np.isfinite(low + high), np.abs(step))


@dataclass(frozen=True, slots=True)
class IntegerCodes:
    """Integer codes [n] with the scale and zero point of each."""

    codes: Codes
    scales: Values
    zeros: Codes
    ends: tuple[int, int]

    @property
    def rules(self) -> tuple[str, ...]:
        """Ways to divide and to round; the zero point counts where there is one."""
        zero = bool(self.zeros.any()) or self.ends[0] < 0
        return (*(r for r in ROUNDINGS if r not in WITH_ZERO or zero), EITHER)

    def replay(self, values: Values, rule: str) -> Codes:
        """See :class:`Coded`. A range that leaves the lowest code out differs in clipped numbers alone."""
        lowest, highest = self.ends
        lowest = lowest + 1 if lowest < 0 and not (self.codes == lowest).any() else lowest
        if rule == EITHER:
            return self._either(values, lowest, highest)
        return code_integers(values, self.scales, self.zeros, lowest, highest, rule)

    def _either(self, values: Values, lowest: int, highest: int) -> Codes:
        """Where a quotient is a half to float32's last bits, how it was computed says which code it got:
        the stored one if it is a neighbour."""
        with np.errstate(all="ignore"):
            exact = values.astype(np.float64) / self.scales + self.zeros
            exact = np.clip(np.nan_to_num(exact, nan=0.0), lowest, highest)
        nearest = np.rint(exact).astype(np.int16)
        slack = FLOAT32 * (1 + np.abs(exact))
        return np.where(np.abs(self.codes - exact) <= 0.5 + slack, self.codes, nearest)

    def scale_matches(self, values: Values) -> tuple[int, int]:
        """A run need not hold whole blocks."""
        return 0, 0

    def coded_as(self, values: Values, rule: str) -> IntegerCodes:
        """With the stored scales."""
        return IntegerCodes(self.replay(values, rule), self.scales, self.zeros, self.ends)

    def cells(self) -> CodeCells:
        """Half a step on either side; a quotient in bfloat16 would move ends by up to that again."""
        place = (self.codes - self.zeros).astype(np.float64)
        scale = self.scales.astype(np.float64)
        half = 0.5 + (np.abs(place) + 1) * FLOAT32
        lowest = self.ends[0] + 1 if self.ends[0] < 0 else self.ends[0]
        # A scale may be below zero: onnxruntime's gives the largest size, with its sign, the lowest code.
        inner = (self.codes > lowest) & (self.codes < self.ends[1]) & (scale != 0) & np.isfinite(scale)
        middle, reach = place * scale, half * np.abs(scale)
        return CodeCells(middle - reach, middle + reach, inner, np.abs(scale))


@dataclass(frozen=True, slots=True)
class FloatCodes:
    """Codes in an 8-bit float, as bits [n], with the scale of each."""

    bits: NDArray[np.uint8]
    scales: Values
    dtype: DType

    @property
    def codes(self) -> Codes:
        """The bits as numbers."""
        return self.bits.astype(np.int16)

    @property
    def rules(self) -> tuple[str, ...]:
        """Ways to divide; the format says how to round."""
        return tuple(r for r in ROUNDINGS if r.endswith("to even") and r not in WITH_ZERO)

    def replay(self, values: Values, rule: str) -> Codes:
        """See :class:`Coded`."""
        return code_float8(values, self.scales, self.dtype, rule).astype(np.int16)

    def scale_matches(self, values: Values) -> tuple[int, int]:
        """A run need not hold whole blocks."""
        return 0, 0

    def coded_as(self, values: Values, rule: str) -> FloatCodes:
        """With the stored scales."""
        return FloatCodes(self.replay(values, rule).astype(np.uint8), self.scales, self.dtype)

    def cells(self) -> CodeCells:
        """The format's own cells, times the scale."""
        cells = rounding_cells(self.bits, self.dtype)
        scale = self.scales.astype(np.float64)
        slack = np.maximum(np.abs(cells.low), np.abs(cells.high)) * FLOAT32
        top = magnitude_values(self.dtype).size - 1
        inner = ((self.bits & 0x7F) < top) & (scale > 0) & np.isfinite(scale)
        with np.errstate(all="ignore"):
            low, high = (cells.low - slack) * scale, (cells.high + slack) * scale
        return CodeCells(low, high, inner & np.isfinite(low + high), (cells.high - cells.low) * scale)
