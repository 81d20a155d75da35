"""A few tensors on which recipes compete: how many of their elements does a recipe reproduce?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parentage.evidence.replaying.replays import Operands, Recipe, predict_bits

__all__ = ["Winner", "count_matches", "matched_share"]


@dataclass(frozen=True, slots=True)
class Winner:
    """A recipe, the share of the probe that it reproduces, and the probe in its order of parents."""

    share: float
    recipe: Recipe
    probe: Sequence[Operands]


def count_matches(probe: Sequence[Operands], recipe: Recipe) -> tuple[int, int]:
    """Exact matches, and elements."""
    matches = total = 0
    for operands in probe:
        matches += int(np.count_nonzero(operands.equals(predict_bits(operands, recipe))))
        total += operands.bits.size
    return matches, total


def matched_share(probe: Sequence[Operands], recipe: Recipe, to_beat: float) -> float:
    """Share of exact matches; gives up on a recipe that its first tensors already rule out."""
    matches = total = 0
    for operands in probe:
        matches += int(np.count_nonzero(operands.equals(predict_bits(operands, recipe))))
        total += operands.bits.size
        if matches / total < to_beat - 0.2:
            break
    return matches / total if total else 0.0
