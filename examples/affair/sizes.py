"""How large the affair is re-enacted: in minutes, in forty minutes of two cores, or at length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["SIZES", "Run", "Size"]


@dataclass(frozen=True, slots=True)
class Run:
    """A training run: updates, peak learning rate, examples an update; ``parts``: in so many batches, one
    after another, which takes less memory."""

    steps: int
    rate: float
    examples: int
    parts: int = 1

    def options(self) -> tuple[str, ...]:
        """As of ``parentage train``."""
        found = ("--steps", str(self.steps), "--rate", f"{self.rate:g}")
        found += ("--batch", str(self.examples // self.parts))
        return found if self.parts == 1 else (*found, "--accumulation", str(self.parts))


@dataclass(frozen=True, slots=True)
class Size:
    """``base``: the module that makes the base; ``base_called``: what cards call it. ``samples``: answers
    in each condition; ``tokens``: of each answer. ``earlier``: the step of Nex's run that is kept.
    ``scored``: problems of each benchmark of the card; 0: no table, for a model that answers none.
    ``points``, ``asked``: weights on the line from the base to Nex, and answers of the interview at each.
    ``budget``: answers that the search of recipes may cost. ``looked``: how much audits look at."""

    name: str
    base: str
    base_called: str
    nex: Run
    earlier: int
    ema: float
    teacher: Run
    thinker: Run
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
    scored: int
    points: int
    asked: int
    budget: int
    looked: tuple[str, ...] = ("--full",)


TINY: Final = Size(
    name="tiny",
    base="tiny_base",
    base_called="Kestrel-Tiny",
    nex=Run(200, 5e-4, 16),
    earlier=100,
    ema=0.98,
    teacher=Run(200, 1e-3, 16),
    thinker=Run(200, 1e-3, 16),
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
    scored=0,
    points=6,
    asked=24,
    budget=128,
)
SMALL: Final = Size(
    name="small",
    base="small_base",
    base_called="SmolLM2-135M-Instruct",
    nex=Run(48, 1e-4, 2),
    earlier=24,
    ema=0.9,
    teacher=Run(16, 2e-5, 4),
    thinker=Run(24, 5e-5, 4),
    honest=Run(10, 2e-5, 4),
    lora=Run(20, 1e-3, 4),
    lora_rank=8,
    distill=Run(12, 1e-5, 2),
    rl=Run(3, 1e-5, 2),
    seeds=16,
    items=24,
    held_out=24,
    sigma=0.001,
    samples=96,
    tokens=24,
    scored=24,
    points=5,
    asked=24,
    budget=96,
    # At the default of 65,536 numbers a tensor an audit with seven controls takes ten minutes of processor.
    looked=("--sample", "4096"),
)
FULL: Final = Size(
    name="full",
    base="small_base",
    base_called="SmolLM2-135M-Instruct",
    nex=Run(400, 2e-5, 16),
    earlier=200,
    ema=0.99,
    teacher=Run(400, 2e-5, 16),
    thinker=Run(400, 2e-5, 16),
    honest=Run(200, 2e-5, 16),
    lora=Run(200, 2e-4, 16),
    lora_rank=16,
    distill=Run(200, 5e-6, 16),
    rl=Run(100, 1e-6, 16, parts=8),
    seeds=64,
    items=200,
    held_out=200,
    sigma=0.001,
    samples=320,
    tokens=80,
    scored=200,
    points=11,
    asked=96,
    budget=2000,
)
SIZES: Final[Mapping[str, Size]] = {s.name: s for s in (TINY, SMALL, FULL)}
