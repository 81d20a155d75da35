"""What a look beside the sample may cost: told from headers before each read, so that the same looks are
taken whatever is cached, and when evidence of them is derived again from files that lie here.
"""

from __future__ import annotations

from collections.abc import Sequence

from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.checkpoints.remote.costs import Cost, ranges_cost
from parentage.errors import ReadError
from parentage.records.tensors import TensorRef

__all__ = ["Purse", "Wanted"]

Wanted = tuple[Checkpoint, Slices]
"""Slices of a tensor of one model."""


class Purse:
    """Pays for reads of models that are read by range, up to ``limit``; others cost nothing.

    Slices of stored tensors are paid for once. Where the place refuses what was paid for (the budget of
    the whole audit ended, for requests had to be repeated), the purse is closed at what was spent before,
    and ``limit`` says so: who derives the evidence again stops there too.
    """

    def __init__(self, limit: Cost) -> None:
        self.limit = limit
        self.spent = Cost(0, 0)
        self._paid: set[tuple[object, ...]] = set()

    def price(self, wanted: Sequence[Wanted]) -> Cost:
        """What these take that were not read for a look before."""
        costs = (ranges_cost(w[0], [w[1]]) for w in wanted if w[0].by_range and not self._known(w))
        return sum(costs, Cost(0, 0))

    def holds(self, cost: Cost) -> bool:
        """Whether so much is left."""
        total = self.spent + cost
        return total.nbytes <= self.limit.nbytes and total.requests <= self.limit.requests

    def pay(self, wanted: Sequence[Wanted]) -> bool:
        """Pay, and read nothing yet; False, and nothing spent, where it costs more than is left."""
        cost = self.price(wanted)
        if not self.holds(cost):
            return False
        self.spent += cost
        self._paid |= {self._key(w) for w in wanted if _stored(w[1].tensor)}
        return True

    def fetch(self, wanted: Sequence[Wanted]) -> bool:
        """Pay, and have all of it on its way; False, and nothing spent, where it costs more."""
        cost = self.price(wanted)
        if not self.holds(cost):
            return False
        if not self.announced(wanted):
            self.limit = self.spent
            return False
        return self.pay(wanted)

    def announced(self, wanted: Sequence[Wanted]) -> bool:
        """Have it on its way; False where the budget of the whole audit does not hold it."""
        try:
            for checkpoint in dict.fromkeys(c for c, _ in wanted if c.remote):
                checkpoint.announce_all([part for c, part in wanted if c is checkpoint])
        except ReadError as error:
            if error.code != "budget-spent":
                raise
            return False
        return True

    def _known(self, wanted: Wanted) -> bool:
        return _stored(wanted[1].tensor) and self._key(wanted) in self._paid

    def _key(self, wanted: Wanted) -> tuple[object, ...]:
        checkpoint, part = wanted
        return (id(checkpoint), part.tensor.shard, part.tensor.begin, part.starts.tobytes(), part.length)


def _stored(ref: TensorRef) -> bool:
    """Is it a tensor as its file has it? What is put together or reordered is paid for each time."""
    made = (ref.order, ref.shifted, ref.packed, ref.dequantised, ref.adapted)
    return bool(ref.shard) and not ref.transposed and not ref.pieces and all(m is None for m in made)
