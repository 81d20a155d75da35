"""Samples of K-quants, and of codes that stand for numbers of a table: nearest under the stored scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.sampling.positions import SamplePlan
from parentage.numerics.storage.k_quants import K_BLOCK, K_QUANTS, KBlocks, code_k_blocks, unpack_k_blocks
from parentage.numerics.storage.quantizers import CodeCells
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["KCodes", "TableCodes", "read_k_codes"]

Values = NDArray[np.float32]
Codes = NDArray[np.int16]
# Of the float32 sum, product and quotient between a number and its code.
FLOAT32 = 2.0**-22


@dataclass(frozen=True, slots=True)
class KCodes:
    """See ``Coded``; ``blocks`` [n] may begin and end within a stored block."""

    format_: str
    blocks: KBlocks

    @property
    def codes(self) -> Codes:
        """As stored."""
        return self.blocks.codes

    @property
    def rules(self) -> tuple[str, ...]:
        """The last step of every K-quantiser, whatever its search for scales."""
        return (f"nearest code of {self.format_} under the block's own scales",)

    def replay(self, values: Values, rule: str) -> Codes:
        """See ``Coded``."""
        return code_k_blocks(values, self.blocks, self.format_)

    def scale_matches(self, values: Values) -> tuple[int, int]:
        """Scales are searched for: they do not follow from a block's numbers by a rule known here."""
        return 0, 0

    def coded_as(self, values: Values, rule: str) -> KCodes:
        """With the stored scales."""
        coded = self.replay(values, rule)
        return KCodes(self.format_, KBlocks(coded, self.blocks.step, self.blocks.least))

    def cells(self) -> CodeCells:
        """Half a step on either side; the stored step is what the codes were made with."""
        kind = K_QUANTS[self.format_]
        step, least = self.blocks.step.astype(np.float64), self.blocks.least.astype(np.float64)
        place = self.codes.astype(np.float64) - kind.offset
        with np.errstate(all="ignore"):
            reach = np.abs(step) * (0.5 + (np.abs(place) + 1) * FLOAT32) + np.abs(least) * FLOAT32
            middle = place * step - least
            low, high = middle - reach, middle + reach
        inner = (self.codes > 0) & (self.codes < kind.levels - 1) & (step != 0)
        return CodeCells(low, high, inner & np.isfinite(low + high), np.abs(step))


def read_k_codes(checkpoint: Checkpoint, ref: TensorRef, plan: SamplePlan) -> KCodes:
    """The codes of a plan's runs; the blocks that they touch are read whole."""
    nbytes = K_QUANTS[ref.encoding].nbytes
    raw = TensorRef(ref.name, DType.U8, (ref.end - ref.begin,), ref.shard, ref.begin, ref.end)
    found = [_run(checkpoint, raw, ref.encoding, nbytes, int(s), plan.length) for s in plan.starts]
    parts = [np.concatenate([getattr(b, name) for b in found]) for name in ("codes", "step", "least")]
    return KCodes(ref.encoding, KBlocks(*parts))


def _run(
    checkpoint: Checkpoint, raw: TensorRef, format_: str, nbytes: int, start: int, length: int
) -> KBlocks:
    first, last = start // K_BLOCK, -(-(start + length) // K_BLOCK)
    stored = checkpoint.read(raw, first * nbytes, (last - first) * nbytes).astype(np.uint8)
    whole = unpack_k_blocks(stored.reshape(-1, nbytes), format_)
    kept = slice(start - first * K_BLOCK, start - first * K_BLOCK + length)
    return KBlocks(whole.codes[kept], whole.step[kept], whole.least[kept])


@dataclass(frozen=True, slots=True)
class TableCodes:
    """See ``Coded``: numbers of a table, in any order, times the scale of each. ``block``: so many
    neighbours share the scale, which is the largest size among them; 0 where they are not all there.
    ``coded_scales``: scales are stored as codes themselves."""

    codes: Codes
    scales: Values
    table: tuple[float, ...]
    block: int = 0
    coded_scales: bool = False

    @property
    def rules(self) -> tuple[str, ...]:
        """How bitsandbytes' compares with the middles between neighbours of its table."""
        return ("nearest number of the table",)

    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """The table's order, its numbers in it, and the middles between neighbours."""
        table = np.array(self.table, np.float32)
        order = np.argsort(table, kind="stable")
        ranked = table[order]
        return order, ranked, (ranked[1:] + ranked[:-1]) / np.float32(2)

    def replay(self, values: Values, rule: str) -> Codes:
        """See ``Coded``. Numbers exactly in the middle go down; a scale of 0 gives the stored code."""
        order, _, middles = self._sorted()
        # Stored scales may be codes themselves, while numbers were divided by what these came from.
        scales = self._largest(values).repeat(self.block) if self.block else self.scales
        with np.errstate(all="ignore"):
            ratio = np.nan_to_num(values * (np.float32(1) / scales), nan=0.0)
        coded = order[np.searchsorted(middles, ratio, side="left")].astype(np.int16)
        return np.where(self.scales == 0, self.codes, coded)

    def _largest(self, values: Values) -> Values:
        found: Values = np.abs(values).reshape(-1, self.block).max(axis=1)
        return found

    def scale_matches(self, values: Values) -> tuple[int, int]:
        """Blocks whose largest size is the stored scale, bit for bit."""
        if not self.block or self.coded_scales:
            return 0, 0
        same = self._largest(values) == self.scales[:: self.block]
        return int(np.count_nonzero(same)), int(same.size)

    def coded_as(self, values: Values, rule: str) -> TableCodes:
        """With scales of its own where whole blocks are there."""
        own = self._largest(values).repeat(self.block) if self.block else self.scales
        return TableCodes(self.replay(values, rule), own, self.table, self.block)

    def cells(self) -> CodeCells:
        """Between the middles on either side of each number."""
        order, ranked, middles = self._sorted()
        rank = np.empty(order.size, np.int64)
        rank[order] = np.arange(order.size)
        at = rank[np.minimum(self.codes, order.size - 1)]
        scale = self.scales.astype(np.float64)
        edges = np.concatenate([[-np.inf], middles.astype(np.float64), [np.inf]])
        inner = (at > 0) & (at < order.size - 1) & (scale > 0) & np.isfinite(scale)
        slack = (1 + np.abs(ranked.astype(np.float64)).max()) * FLOAT32
        with np.errstate(all="ignore"):
            low, high = (edges[at] - slack) * scale, (edges[at + 1] + slack) * scale
        step = np.where(inner, high - low, 0.0)
        return CodeCells(low, high, inner & np.isfinite(low + high), step)
