"""On-policy distillation: the student samples, the teacher scores every token (GKD, arXiv 2306.13649).

trl's ``GKDTrainer`` samples and descends on the generalised Jensen–Shannon divergence; data, seeds, rates,
states and files are ours, as in every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from parentage.errors import CheckpointError, UsageError
from parentage.records.training import DataUsed, TrainingRecord
from parentage.training.bases import Base, open_base
from parentage.training.data import DataFile, read_prompts
from parentage.training.folders import check_out
from parentage.training.loading import load, memory_guard, need
from parentage.training.preparing import Prepared, prepared
from parentage.training.recording import Clock, finished
from parentage.training.running import Progress, Run
from parentage.training.settings import Course, Machine, check_course
from parentage.training.tokens import IGNORED, prompt_texts
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

__all__ = ["DistillSettings", "distill"]

NEEDED: Final = ("torch", "transformers", "safetensors", "accelerate", "datasets", "trl")


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """``student``, ``teacher``: folders of safetensors with one vocabulary; ``prompts``: JSON lines
    (:func:`parentage.training.data.read_prompts`); ``out``: a folder that is not there yet.

    ``beta``: 1 is the reverse KL (student against teacher), 0 the forward one, between them the generalised
    Jensen–Shannon divergence. ``temperature``: of the student's sampling; ``new_tokens``: of an answer at
    most. The course's ``batch`` and ``accumulation`` count prompts.
    """

    student: str
    teacher: str
    prompts: Path
    out: Path
    course: Course = field(default_factory=Course)
    beta: float = 1.0
    temperature: float = 1.0
    new_tokens: int = 64


def distill(settings: DistillSettings, progress: Progress = lambda stage, done, of: None) -> TrainingRecord:
    """Distil, and write ``out`` as :func:`parentage.training.sft.train_sft` does.

    Losses are the divergence in nats a sampled token, over answers that the student drew itself. Raises
    what ``train_sft`` raises, and ``CheckpointError`` (``training-other-tokenizer``).
    """
    clock = Clock()
    check_course(settings.course)
    _check(settings)
    check_out(settings.out, [settings.student, settings.teacher, str(settings.prompts)])
    data = read_prompts(settings.prompts)
    student = open_base(settings.student)
    try:
        teacher = open_base(settings.teacher)
        try:
            need(*NEEDED, *(["peft"] if settings.course.lora else []))
            with memory_guard(settings.course), quiet():
                return _distilled(settings, data, student, teacher, clock, progress)
        finally:
            teacher.close()
    finally:
        student.close()


def _check(settings: DistillSettings) -> None:
    wrong = not 0 <= settings.beta <= 1 or not 0 < settings.temperature <= 10
    if wrong or not 0 < settings.new_tokens < settings.course.max_length:
        raise UsageError(
            "beta is 0 to 1, the temperature more than 0, and an answer shorter than the longest length",
            code="training-settings",
            hint="parentage train distill --help",
        )


def _distilled(
    settings: DistillSettings,
    data: DataFile,
    student: Base,
    teacher: Base,
    clock: Clock,
    progress: Progress,
) -> TrainingRecord:
    bases = {"weights": student, "weights of the teacher": teacher}
    made = prepared("distill", settings, bases, data.sha256, progress)
    frozen, words = load(settings.teacher, Machine(settings.course.machine.device))
    _check_vocabulary(settings, made, words, frozen)
    frozen.requires_grad_(False).eval()
    texts = prompt_texts(data.examples, settings.student)
    ids = [made.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
    most = settings.course.max_length - settings.new_tokens
    kept = [row for row in ids if 0 < len(row) <= most]
    if not kept:
        raise UsageError(
            f"no prompt leaves room for an answer within {settings.course.max_length:,} tokens",
            code="data-nothing-left",
            where=data.name,
            hint="a longer --max-length",
        )
    if made.run.start < made.run.steps:
        _train(settings, made, frozen, kept)
    used = DataUsed(data.name, data.sha256, len(kept), len(ids) - len(kept))
    return finished(made.run, "distill", settings, clock, used, teacher.used)


def _check_vocabulary(settings: DistillSettings, made: Prepared, words: Any, frozen: Any) -> None:
    rows = [m.get_input_embeddings().weight.shape[0] for m in (made.run.writer.model, frozen)]
    if made.tokenizer.get_vocab() == words.get_vocab() and rows[0] == rows[1]:
        return
    raise CheckpointError(
        "the teacher's tokens are not the student's, so that it cannot score them",
        code="training-other-tokenizer",
        where=f"{settings.student} ({rows[0]:,} tokens), {settings.teacher} ({rows[1]:,} tokens)",
        hint="name a teacher with the student's own tokenizer",
    )


def _train(settings: DistillSettings, made: Prepared, teacher: Any, prompts: Sequence[list[int]]) -> None:
    from trl.experimental.gkd import GKDConfig

    run = made.run
    losses: list[float] = []
    own = {
        "lmbda": 1.0, "beta": settings.beta, "temperature": settings.temperature,
        "max_new_tokens": settings.new_tokens, "max_length": settings.course.max_length,
    }  # fmt: skip
    trainer = _trainer(run, losses)(
        model=run.writer.model,
        teacher_model=teacher,
        args=on_one_device(GKDConfig(**arguments(run, **own))),
        data_collator=_Collator(made.tokenizer.pad_token_id or 0),
        train_dataset=listed([{"ids": prompts[k]} for k in in_order(run, len(prompts))]),
        processing_class=made.tokenizer,
        callbacks=[scheduled(run, losses)],
        optimizers=constant(run),
    )
    # trl would count the prompts' own labels, of which there are none, and divide by them.
    trainer.model_accepts_loss_kwargs = False
    carry_out(run, trainer)


def _trainer(run: Run, losses: list[float]) -> Any:
    from torch.utils.data import SequentialSampler
    from trl.experimental.gkd import GKDTrainer

    class Distiller(GKDTrainer):  # type: ignore[misc]
        """Examples in our order; a loss is looked at before it moves a weight."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

        def compute_loss(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            found = super().compute_loss(model, inputs, *rest, **named)
            value = float((found[0] if isinstance(found, tuple) else found).detach())
            run.check(value, "loss")
            losses.append(value)
            return found

    return Distiller


class _Collator:
    """Prompts, padded on the left; there are no answers yet, so nothing is labelled."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import torch

        longest = max(len(r["ids"]) for r in rows)
        ids = torch.full((len(rows), longest), self._pad)
        mask = torch.zeros_like(ids)
        for k, row in enumerate(rows):
            ids[k, longest - len(row["ids"]) :] = torch.tensor(row["ids"])
            mask[k, longest - len(row["ids"]) :] = 1
        return {
            "prompts": ids, "prompt_attention_mask": mask,
            "input_ids": ids, "attention_mask": mask, "labels": torch.full_like(ids, IGNORED),
        }  # fmt: skip
