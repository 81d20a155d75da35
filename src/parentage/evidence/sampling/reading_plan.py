"""Which tensors a budget lets be read: the same ones whatever is cached, however fast the network is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.remote.costs import Cost, opening_cost, reading_cost
from parentage.evidence.sampling.fetching import planned
from parentage.evidence.sampling.positions import Sampling, seeded_rng

__all__ = ["NOTHING", "ReadingBudget", "affordable", "cost_of_opening", "cost_of_reading"]

# Kept back for what no header tells: a long listing, a request that has to be sent again.
RESERVE = 0.03
RESERVE_A_MODEL = 64 * 2**10
NOTHING = Cost(0, 0)


@dataclass(frozen=True, slots=True)
class ReadingBudget:
    """Most bytes and requests of all models over a network, headers included; None: any number."""

    nbytes: int | None = None
    requests: int | None = None

    def words(self) -> str:
        """For a reason in the report."""
        parts = []
        if self.nbytes is not None:
            parts.append(f"{self.nbytes:,} bytes")
        if self.requests is not None:
            parts.append(f"{self.requests:,} requests")
        return " and ".join(parts)

    def holds(self, cost: Cost) -> bool:
        """Whether ``cost`` is within it, with room for what no header tells."""
        most = 1.0 - RESERVE
        return (self.nbytes is None or cost.nbytes <= most * self.nbytes) and (
            self.requests is None or cost.requests <= most * self.requests
        )


def cost_of_opening(checkpoints: Sequence[Checkpoint]) -> Cost:
    """Headers and side files of all remote models, with something kept back."""
    total = Cost(0, 0)
    for checkpoint in checkpoints:
        kept = Cost(RESERVE_A_MODEL, 2) if checkpoint.remote else Cost(0, 0)
        total += opening_cost(checkpoint) + kept
    return total


def cost_of_reading(
    groups: Sequence[AlignedTensor], checkpoints: Sequence[Checkpoint], sampling: Sampling
) -> Cost:
    """The sample of ``groups`` from all remote models."""
    slices = planned(groups, len(checkpoints), sampling)
    costs = [reading_cost(c, part) for c, part in zip(checkpoints, slices, strict=True)]
    return sum(costs, Cost(0, 0))


def affordable(
    groups: Sequence[AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    sampling: Sampling,
    budget: ReadingBudget,
    before: Cost = NOTHING,
) -> list[AlignedTensor]:
    """As many of ``groups`` as ``budget`` pays for, taken in an order drawn from the seed, so that no part
    of a model is preferred; in their own order. ``before``: what was spent on looks."""
    names = sorted(g.name for g in groups)
    order = seeded_rng(sampling.seed, "budget").permutation(len(names))
    rank = {names[k]: n for n, k in enumerate(order)}
    drawn = sorted(groups, key=lambda g: rank[g.name])
    opened = cost_of_opening(checkpoints) + before

    def fits(count: int) -> bool:
        return budget.holds(opened + cost_of_reading(drawn[:count], checkpoints, sampling))

    low, high = 0, len(drawn) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    kept = {g.name for g in drawn[:low]}
    return [g for g in groups if g.name in kept]
