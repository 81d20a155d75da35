"""Parts of slices whose bytes are on their way, and the slices that they belong to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.direct_files import DirectBlock, DirectReader
from parentage.evidence.full.tasks import SliceTask
from parentage.numerics.streaming.replay_kernels import COUNTS

__all__ = ["Part", "Slice", "UnderWay"]


@dataclass(slots=True)
class Slice:
    """A slice that is under way: its counts so far, and how many parts are not among them."""

    task: SliceTask
    left: int
    total: NDArray[np.int64] = field(default_factory=lambda: np.zeros(COUNTS, np.int64))


class Part(NamedTuple):
    """Elements of a slice, from ``start`` to before ``end``, and what is being read of them."""

    of: Slice
    start: int
    end: int
    read: DirectBlock | None


@dataclass(slots=True)
class UnderWay:
    """Parts whose reading has begun, handed out as they have come: a disk that answers many requests at a
    time answers them in an order of its own, and who waits for the oldest leaves it idle (docs/log.md)."""

    reader: DirectReader | None = None
    parts: dict[int, Part] = field(default_factory=dict)
    here: deque[Part] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.parts) + len(self.here)

    def add(self, part: Part) -> None:
        """One of which something is on its way, or nothing."""
        if part.read is None:
            self.here.append(part)
        else:
            self.parts[part.read.number] = part

    def take(self) -> Part:
        """The next part of which everything has come."""
        if not self.here:
            assert self.reader is not None
            self.here.extend(self.parts.pop(block.number) for block in self.reader.come())
        return self.here.popleft()
