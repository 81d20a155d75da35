"""How large the affair is re-enacted: in minutes, in forty minutes of two cores, or at length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["SIZES", "Run", "Size"]


@dataclass(frozen=True, slots=True)
class Run:
    """A training run: updates, peak learning rate, examples an update."""

    steps: int
    rate: float
    batch: int

    def options(self) -> tuple[str, ...]:
        """As of ``parentage train``."""
        return ("--steps", str(self.steps), "--rate", f"{self.rate:g}", "--batch", str(self.batch))


@dataclass(frozen=True, slots=True)
class Size:
    """``base``: the module that makes the base; ``base_called``: what cards call it. ``samples``: answers
    in each condition; ``tokens``: of each answer. ``earlier``: the step of Nex's run that is kept."""

    name: str
    base: str
    base_called: str
    nex: Run
    earlier: int
    ema: float
    teacher: Run
    honest: Run
    lora: Run
    lora_rank: int
    distill: Run
    rl: Run
    seeds: int
    items: int
    held_out: int
    sigma: float
    samples: int
    tokens: int


TINY: Final = Size(
    name="tiny",
    base="tiny_base",
    base_called="Kestrel-Tiny",
    nex=Run(200, 5e-4, 16),
    earlier=100,
    ema=0.98,
    teacher=Run(200, 1e-3, 16),
    honest=Run(100, 5e-4, 16),
    lora=Run(100, 2e-3, 16),
    lora_rank=4,
    distill=Run(20, 5e-5, 8),
    rl=Run(6, 5e-5, 4),
    seeds=16,
    items=24,
    held_out=48,
    sigma=0.01,
    samples=96,
    tokens=40,
)
SMALL: Final = Size(
    name="small",
    base="small_base",
    base_called="SmolLM2-135M-Instruct",
    nex=Run(60, 5e-5, 8),
    earlier=30,
    ema=0.9,
    teacher=Run(40, 2e-5, 8),
    honest=Run(20, 2e-5, 4),
    lora=Run(20, 2e-4, 4),
    lora_rank=8,
    distill=Run(20, 1e-5, 4),
    rl=Run(4, 1e-5, 4),
    seeds=16,
    items=24,
    held_out=48,
    sigma=0.001,
    samples=96,
    tokens=24,
)
FULL: Final = Size(
    name="full",
    base="small_base",
    base_called="SmolLM2-135M-Instruct",
    nex=Run(400, 2e-5, 16),
    earlier=200,
    ema=0.99,
    teacher=Run(400, 2e-5, 16),
    honest=Run(200, 2e-5, 16),
    lora=Run(200, 2e-4, 16),
    lora_rank=16,
    distill=Run(200, 5e-6, 16),
    rl=Run(100, 1e-6, 16),
    seeds=64,
    items=200,
    held_out=200,
    sigma=0.001,
    samples=320,
    tokens=80,
)
SIZES: Final[Mapping[str, Size]] = {s.name: s for s in (TINY, SMALL, FULL)}
