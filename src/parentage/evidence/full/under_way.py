"""Parts of slices whose bytes are on their way, and the slices that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.direct_files import DirectBlock
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

    parts: dict[int, Part] = field(default_factory=dict)
    spans: dict[int, int] = field(default_factory=dict)
    come: SimpleQueue[int] = field(default_factory=SimpleQueue)
    begun: int = 0

    def add(self, part: Part) -> None:
        key, self.begun = self.begun, self.begun + 1
        self.parts[key], self.spans[key] = part, 1 if part.read is None else len(part.read.begins)
        if part.read is None:
            self.come.put(key)
            return
        for future in part.read.begins:
            future.add_done_callback(lambda _: self.come.put(key))

    def take(self) -> Part:
        """The next part of which everything has come."""
        while True:
            key = self.come.get()
            self.spans[key] -= 1
            if not self.spans[key]:
                del self.spans[key]
                return self.parts.pop(key)
