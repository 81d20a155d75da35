"""Which elements of a tensor are read: a stratified draw of short runs, from (seed, tensor name).

Runs, not single elements: a run is one range read, and it stands for a stretch of one row, which the
row-wise scales of the likelihoods need. The draw depends on nothing but its arguments, so neither
threads nor shards nor order can move it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "SamplePlan", "plan_sample", "seeded_rng"]

# Long enough to estimate a scale for each run (256 values: 4.4 % standard error of a standard
# deviation), short enough that 65,536 elements come from 256 different places of a tensor.
BLOCK = 256


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """Runs of ``length`` elements at ``starts``; ``whole`` when that is every element."""

    starts: NDArray[np.int64]
    length: int
    whole: bool
    elements: int


def seeded_rng(seed: int, *names: str) -> np.random.Generator:
    """A counter-based generator that depends on the seed and the names alone."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def plan_sample(name: str, elements: int, sample: int, seed: int) -> SamplePlan:
    """Plan the reading of one tensor: all of it when it has at most ``sample`` elements."""
    if elements <= max(sample, BLOCK):
        return SamplePlan(np.zeros(1, np.int64), elements, True, elements)
    count = max(1, sample // BLOCK)
    edges = np.linspace(0, elements - BLOCK, count + 1)
    width = np.diff(edges)
    offsets = seeded_rng(seed, "sample", name).random(count) * np.maximum(width - BLOCK, 0.0)
    starts = np.floor(edges[:-1] + offsets).astype(np.int64)
    return SamplePlan(starts, BLOCK, False, count * BLOCK)
