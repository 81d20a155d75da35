"""Policy gradient on a reward that can be checked: groups of answers, each judged against its own group.

trl's ``GRPOTrainer`` (Shao et al., arXiv 2402.03300; with a reference model where ``kl`` is more than 0)
samples and descends; the task scores; data, seeds, rates, states and files are ours, as in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from parentage.errors import RuntimeModelError, UsageError
from parentage.records.training import DataUsed, TrainingRecord
from parentage.training.bases import Base, open_base
from parentage.training.data import Example
from parentage.training.folders import check_out
from parentage.training.loading import memory_guard, need
from parentage.training.preparing import Prepared, prepared
from parentage.training.problems import TUNED, Item, Task
from parentage.training.recording import Clock, finished
from parentage.training.running import Progress, Run
from parentage.training.settings import Course, check_course
from parentage.training.tasks import open_task
from parentage.training.tokens import prompt_texts
from parentage.training.trainers import (
    arguments,
    carry_out,
    constant,
    in_order,
    listed,
    on_one_device,
    quiet,
    scheduled,
)

__all__ = ["RlSettings", "reinforce"]

NEEDED: Final = ("torch", "transformers", "safetensors", "accelerate", "datasets", "trl")


@dataclass(frozen=True, slots=True)
class RlSettings:
    """``model``: a folder of safetensors; ``task``: what :func:`parentage.training.tasks.open_task` takes;
    ``out``: a folder that is not there yet.

    ``items``: different problems, of the split that is tuned on, drawn by the course's seed. ``group``:
    answers to each problem. ``new_tokens`` 0: as many as the task says. ``kl``: weight of the divergence
    from the model that the run began with. The course's ``batch`` and ``accumulation`` count problems.
    """

    model: str
    task: str
    out: Path
    course: Course = field(default_factory=Course)
    items: int = 64
    group: int = 8
    temperature: float = 1.0
    new_tokens: int = 0
    kl: float = 0.0


def reinforce(settings: RlSettings, progress: Progress = lambda stage, done, of: None) -> TrainingRecord:
    """Reinforce, and write ``out`` as :func:`parentage.training.sft.train_sft` does.

    ``rewards``: the mean score of each step's answers, before its update; ``losses``: what was descended
    on, whose size means little. Raises what ``train_sft`` and ``open_task`` raise.
    """
    clock = Clock()
    check_course(settings.course)
    task = open_task(settings.task)
    _check(settings, task)
    check_out(settings.out, [settings.model])
    items = task.items(TUNED, settings.items, settings.course.seed)
    base = open_base(settings.model)
    try:
        need(*NEEDED, *(["peft"] if settings.course.lora else []))
        with memory_guard(settings.course), quiet():
            return _reinforced(settings, task, items, base, clock, progress)
    finally:
        base.close()


def _check(settings: RlSettings, task: Task) -> None:
    for bad, message in (
        (not 2 <= settings.group <= 1024, "a group has 2 to 1,024 answers"),
        (not 0 < settings.items <= 1_000_000, "items: 1 to 1,000,000"),
        (not 0 < settings.temperature <= 10, "the temperature is more than 0 and at most 10"),
        (not 0 <= settings.kl <= 1e3, "kl is 0 or more"),
        (settings.new_tokens < 0, "an answer has 1 token or more"),
        (_longest(settings, task) >= settings.course.max_length, "an answer is shorter than --max-length"),
    ):
        if bad:
            raise UsageError(message, code="training-settings", hint="parentage train rl --help")


def _longest(settings: RlSettings, task: Task) -> int:
    return settings.new_tokens or task.most_tokens


def _reinforced(
    settings: RlSettings, task: Task, items: Sequence[Item], base: Base, clock: Clock, progress: Progress
) -> TrainingRecord:
    digest = hashlib.sha256("\n".join(i.key for i in items).encode()).hexdigest()
    made = prepared("rl", settings, {"weights": base}, digest, progress)
    examples = [Example(k, tuple(dict(m) for m in item.messages)) for k, item in enumerate(items, 1)]
    texts = [_as_trl_reads(made.tokenizer, t) for t in prompt_texts(examples, settings.model)]
    if made.run.start < made.run.steps:
        _train(settings, task, items, texts, made)
    return finished(made.run, "rl", settings, clock, DataUsed(task.name, digest, len(items)))


def _as_trl_reads(tokenizer: Any, text: str) -> str:
    """trl adds a tokenizer's own special tokens to a text: the one that the template wrote is left out."""
    wanted = tokenizer(text, add_special_tokens=False)["input_ids"]
    for known in (text, text.removeprefix(tokenizer.bos_token or "")):
        if tokenizer(text=known)["input_ids"] == wanted:
            return known
    raise RuntimeModelError(
        "its tokenizer adds special tokens that its chat template does not write",
        code="training-load",
        hint="mend the tokenizer or the template: they do not agree on how a prompt begins",
    )


def _train(
    settings: RlSettings, task: Task, items: Sequence[Item], texts: Sequence[str], made: Prepared
) -> None:
    from trl import GRPOConfig

    run, o = made.run, settings.course.optimizer
    losses: list[float] = []

    def reward(completions: Sequence[str], number: Sequence[int], **_: Any) -> list[float]:
        found = [task.score(items[k], text) for k, text in zip(number, completions, strict=True)]
        run.rewards.append(sum(found) / len(found))
        return found

    own = {
        "per_device_train_batch_size": o.batch * settings.group, "num_generations": settings.group,
        "max_completion_length": _longest(settings, task), "temperature": settings.temperature,
        "beta": settings.kl, "shuffle_dataset": False,
    }  # fmt: skip
    trainer = _trainer(run, losses)(
        model=run.writer.model,
        reward_funcs=reward,
        args=on_one_device(GRPOConfig(**arguments(run, **own))),
        train_dataset=listed([{"prompt": texts[k], "number": k} for k in in_order(run, len(items))]),
        processing_class=made.tokenizer,
        callbacks=[scheduled(run, losses)],
        optimizers=constant(run),
    )
    carry_out(run, trainer)


def _trainer(run: Run, losses: list[float]) -> Any:
    from trl import GRPOTrainer

    class Reinforcer(GRPOTrainer):  # type: ignore[misc]
        """A loss is looked at before it moves a weight."""

        def compute_loss(self, *given: Any, **named: Any) -> Any:
            found = super().compute_loss(*given, **named)
            value = float(found.detach())
            run.check(value, "loss")
            losses.append(value)
            return found

    return Reinforcer
