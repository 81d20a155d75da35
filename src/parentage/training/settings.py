"""What a training run is asked to do, checked before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from parentage.errors import UsageError

__all__ = ["PRECISIONS", "SCHEDULES", "Course", "Keeping", "Lora", "Machine", "Optimizer", "check_course"]

SCHEDULES: Final = ("constant", "linear", "cosine")
PRECISIONS: Final = ("fp32", "bf16", "mixed")
# Past this a step's numbers are no longer told apart from a mistyped one.
MOST_STEPS: Final = 10_000_000
MOST_LENGTH: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Optimizer:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) and its schedule.

    ``steps``: updates of the weights; each sees ``batch`` · ``accumulation`` examples. ``rate``: the peak
    learning rate. ``weight_decay``: decoupled, of parameters with two dimensions or more. ``warmup``: steps
    of linear rise. ``schedule``: what follows it, "constant", or "linear" or "cosine" down to 0 after the
    last step. ``clip``: most norm of the gradient; 0: none.
    """

    steps: int = 100
    rate: float = 2e-5
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: int = 0
    batch: int = 4
    accumulation: int = 1
    clip: float = 1.0

    def rate_at(self, step: int) -> float:
        """The learning rate of update ``step``, counted from 0; as transformers' schedules have it, so that
        a warm-up begins with a step at 0."""
        if step < self.warmup:
            return self.rate * step / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.schedule == "linear":
            return self.rate * (1 - done)
        if self.schedule == "cosine":
            return self.rate * 0.5 * (1 + math.cos(math.pi * done))
        return self.rate

    @property
    def examples(self) -> int:
        """Of one step."""
        return self.batch * self.accumulation


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter (Hu et al., arXiv 2106.09685) instead of all weights. ``alpha`` 0: twice the rank.
    ``targets``: names of modules; none: every linear one but the output. ``merge``: write whole weights."""

    rank: int
    alpha: float = 0.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept on the way. ``save_every``: steps between states to resume from; 0: none. ``steps``:
    after which a whole model is kept in ``checkpoints/step-N``. ``ema``: decay of an exponential moving
    average of the weights, kept in ``checkpoints/ema``; 0: none."""

    save_every: int = 50
    steps: tuple[int, ...] = ()
    ema: float = 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """``device``: "cpu" or "cuda". ``threads`` of torch on the CPU: results depend on their number.
    ``precision``: of the weights that are trained, "fp32", "bf16", or "mixed": fp32 weights, bf16
    products. ``recompute``: activations are computed anew for the gradient, to save memory."""

    device: str = "cpu"
    threads: int = 1
    precision: str = "fp32"
    recompute: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """All that a run's kinds share. ``max_length``: tokens of an example, prompt included."""

    optimizer: Optimizer = Optimizer()
    lora: Lora | None = None
    keeping: Keeping = Keeping()
    machine: Machine = Machine()
    max_length: int = 1024
    seed: int = 0


def check_course(course: Course) -> None:
    """Raise ``UsageError`` (``training-settings``) for what no run can do."""
    for bad, message in (*_of_optimizer(course.optimizer), *_of_the_rest(course)):
        if bad:
            raise UsageError(message, code="training-settings", hint="parentage train --help")


def _of_optimizer(o: Optimizer) -> tuple[tuple[bool, str], ...]:
    numbers = (o.rate, *o.betas, o.epsilon, o.weight_decay, o.clip)
    return (
        (not all(math.isfinite(n) and n >= 0 for n in numbers), "a setting is negative or not finite"),
        (not 0 < o.steps <= MOST_STEPS, f"steps: 1 to {MOST_STEPS:,}"),
        (not 0 < o.rate <= 10, "the learning rate is more than 0 and at most 10"),
        (max(o.betas) >= 1, "betas are below 1"),
        (o.epsilon == 0, "epsilon is more than 0"),
        (not 0 <= o.warmup <= o.steps, "the warm-up has at most as many steps as the run"),
        (o.schedule not in SCHEDULES, f"a schedule is one of {', '.join(SCHEDULES)}"),
        (min(o.batch, o.accumulation) < 1, "batch and accumulation are 1 or more"),
        (o.examples > 2**20, "a step sees at most 1,048,576 examples"),
    )


def _of_the_rest(course: Course) -> tuple[tuple[bool, str], ...]:
    kept, lora, machine = course.keeping, course.lora, course.machine
    wrong = [s for s in kept.steps if not 0 < s <= course.optimizer.steps]
    return (
        (bool(wrong), f"step {wrong[0] if wrong else 0} to keep is not one of the run's"),
        (not 0 <= kept.ema < 1, "the decay of an average is 0 or more and below 1"),
        (kept.save_every < 0, "--save-every is 0 or more"),
        (lora is not None and not 0 < lora.rank <= 65_536, "the rank of an adapter is 1 to 65,536"),
        (lora is not None and not 0 <= lora.dropout < 1, "dropout is 0 or more and below 1"),
        (lora is not None and not 0 <= lora.alpha < 1e9, "alpha is 0 or more"),
        (machine.device not in ("cpu", "cuda"), "a device is cpu or cuda"),
        (machine.precision not in PRECISIONS, f"a precision is one of {', '.join(PRECISIONS)}"),
        (not 0 < machine.threads <= 1024, "threads: 1 to 1,024"),
        (not 1 < course.max_length <= MOST_LENGTH, f"a length is 2 to {MOST_LENGTH:,}"),
        (not 0 <= course.seed < 2**63, "a seed is 0 to 2^63 - 1"),
    )
