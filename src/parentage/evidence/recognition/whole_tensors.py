"""Which tensors may be read whole, where models are read by range: the probe's, then others, from the
smallest up, as far as the purse reaches. An evidence names them, and only they are read when it is derived
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.checkpoints.remote.costs import Cost
from parentage.checkpoints.remote.purse import Purse, Wanted
from parentage.evidence.sampling.reading_plan import RESERVE, ReadingBudget
from parentage.evidence.sampling.stages import STAGE_BUDGET
from parentage.records.tensors import TensorRef

__all__ = ["METHODS", "WholeTensors", "left_for_methods"]

# Where no budget was given, and no more than is left of that of the stages: of the real MiniLM and three
# models more six probe tensors take 14 MB.
METHODS = Cost(32 * 2**20, 2_000)


def left_for_methods(budget: ReadingBudget | None, spent: Cost) -> Cost:
    """What may be read for merge methods after ``spent``."""
    limits = budget or STAGE_BUDGET
    most = METHODS if budget is None else Cost(2**62, 2**62)
    return Cost(
        min(_left(limits.nbytes, spent.nbytes), most.nbytes),
        min(_left(limits.requests, spent.requests), most.requests),
    )


def _left(limit: int | None, spent: int) -> int:
    return 2**62 if limit is None else max(int((1 - RESERVE) * limit) - spent, 0)


@dataclass
class WholeTensors:
    """``limit``: what may be spent; ``named``: the tensors that an evidence says were read, None: the limit
    decides. ``names``: those that may be read, in the order in which they were paid for. ``parts``: models
    and tensors of which a part may be; ``named_parts``: those that an evidence names."""

    groups: Mapping[str, AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    limit: Cost
    named: tuple[str, ...] | None = None
    names: list[str] = field(default_factory=list)
    named_parts: tuple[str, ...] = ()
    parts: list[str] = field(default_factory=list)

    @cached_property
    def _purse(self) -> Purse:
        return Purse(self.limit)

    def wanted(self, name: str, models: Iterable[int]) -> list[Wanted]:
        """All of a tensor, of the suspect and of some models."""
        group = self.groups[name]
        refs = {0: group.suspect, **dict(enumerate(group.others, start=1))}
        parts = ((k, refs[k]) for k in (0, *models))
        zero = np.zeros(1, np.int64)
        return [
            (self.checkpoints[k], Slices(r, zero, r.elements)) for k, r in parts if isinstance(r, TensorRef)
        ]

    def price(self, names: Sequence[str], models: Sequence[int]) -> Cost:
        """What the tensors take, paid for or not."""
        fresh = Purse(Cost(0, 0))
        return sum((fresh.price(self.wanted(n, models)) for n in names), Cost(0, 0))

    def take(self, name: str, models: Sequence[int], *, now: bool) -> bool:
        """May the tensor be read? Paid for where it may; ``now``: all of it is on its way."""
        if name in self.names:
            return True
        if self.named is not None and name not in self.named:
            return False
        wanted = self.wanted(name, models)
        held = self.named is not None or self._purse.pay(wanted)
        if not held or (now and not self._purse.announced(wanted)):
            return False
        self.names.append(name)
        return True

    def part(self, name: str, model: int, starts: NDArray[np.int64], length: int) -> bool:
        """May runs of a tensor be read, of the suspect and of one model? They are on their way then."""
        wanted = [(c, Slices(p.tensor, starts, length)) for c, p in self.wanted(name, (model,))]
        return self.together(f"{model}:{name}", wanted)

    def together(self, key: str, wanted: Sequence[Wanted]) -> bool:
        """May all of these be read? ``key``: what an evidence calls them."""
        if self.named is not None and key not in self.named_parts:
            return False
        held = self.named is not None or key in self.parts or self._purse.pay(wanted)
        if not held or not self._purse.announced(wanted):
            return False
        self.parts = sorted({*self.parts, key})
        return True

    def announce(self, name: str, models: Sequence[int]) -> None:
        """All of a tensor will be read now."""
        self._purse.announced(self.wanted(name, models))

    def drop(self, name: str) -> None:
        """The budget of the whole audit ended before it was read."""
        self.names.remove(name)

    def rest(self, models: Sequence[int]) -> None:
        """Take others too, from the smallest up; the first that is too dear ends it."""
        others = sorted(self.groups.values(), key=lambda g: (g.suspect.elements, g.name))
        for group in others:
            if not self.take(group.name, models, now=False) and self.named is None:
                break
