"""Supervised fine-tuning: AdamW on the tokens of answers, all weights or an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parentage.records.training import DataUsed, TrainingRecord
from parentage.training.bases import Base, open_base
from parentage.training.data import DataFile, read_examples
from parentage.training.folders import check_out
from parentage.training.loading import memory_guard, need
from parentage.training.preparing import prepared
from parentage.training.recording import Clock, finished
from parentage.training.running import Progress, Run, positions
from parentage.training.settings import Course, check_course
from parentage.training.tokens import IGNORED, Row, Rows, tokenised
from parentage.training.trainers import quiet

__all__ = ["SftSettings", "train_sft"]


@dataclass(frozen=True, slots=True)
class SftSettings:
    """``model``: a folder of safetensors; ``data``: JSON lines (:mod:`parentage.training.data`); ``out``: a
    folder that is not there yet. ``all_tokens``: prompts and users' turns are learnt as well."""

    model: str
    data: Path
    out: Path
    course: Course = field(default_factory=Course)
    all_tokens: bool = False


def train_sft(settings: SftSettings, progress: Progress = lambda stage, done, of: None) -> TrainingRecord:
    """Train, and write ``out``: weights in the base's own files, names and dtypes (or an adapter),
    tokenizer, config, template, ``training.json``, ``times.json`` and ``checkpoints``.

    A run that was stopped is gone on with from its last state, when all that was asked is equal. Losses are
    in nats a learnt token, the mean of a whole step's. Raises ``UsageError`` (``training-*``, ``data-*``),
    ``CheckpointError`` (``training-format``, ``training-load``, ``training-tensors``), ``TrainingError``
    (``training-not-finite``, ``training-no-memory``), ``OutputError``.
    """
    clock = Clock()
    check_course(settings.course)
    check_out(settings.out, [settings.model, str(settings.data)])
    data = read_examples(settings.data)
    base = open_base(settings.model)
    try:
        need("torch", "transformers", "safetensors", *(["peft"] if settings.course.lora else []))
        with memory_guard(settings.course), quiet():
            return _trained(settings, data, base, clock, progress)
    finally:
        base.close()


def _trained(
    settings: SftSettings, data: DataFile, base: Base, clock: Clock, progress: Progress
) -> TrainingRecord:
    made = prepared("sft", settings, {"weights": base}, data.sha256, progress)
    length = settings.course.max_length
    rows = tokenised(data, settings.model, made.tokenizer, length, all_tokens=settings.all_tokens)
    _loop(made.run, rows)
    used = DataUsed(data.name, data.sha256, len(rows.rows), rows.left_out, rows.cut)
    return finished(made.run, "sft", settings, clock, used)


def _loop(run: Run, rows: Rows) -> None:
    model, batch = run.writer.model, run.course.optimizer.batch
    model.train()
    for step in range(run.start, run.steps):
        run.begin(step)
        chosen = [rows.rows[k] for k in positions(run.course, step, len(rows.rows))]
        learnt = sum(label != IGNORED for row in chosen for label in row.labels[1:])
        whole = 0.0
        for start in range(0, len(chosen), batch):
            loss = _loss(run, chosen[start : start + batch]) / learnt
            run.check(float(loss.detach()), "loss")
            loss.backward()
            whole += float(loss.detach())
        run.clip()
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        run.finish(step, whole)


def _loss(run: Run, rows: Sequence[Row]) -> Any:
    """Summed cross entropy, in nats, of the learnt tokens of some rows."""
    import torch

    machine = run.course.machine
    ids, mask, labels = (t.to(machine.device) for t in _padded(rows))
    mixed = machine.precision == "mixed"
    with torch.autocast(machine.device, torch.bfloat16, enabled=mixed):
        logits = run.writer.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1),
        labels[:, 1:].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )


def _padded(rows: Sequence[Row]) -> tuple[Any, Any, Any]:
    """Ids, attention mask and labels [rows, longest], padded on the right. What pads is masked."""
    import torch

    longest = max(len(r.ids) for r in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for k, row in enumerate(rows):
        count = len(row.ids)
        ids[k, :count] = torch.tensor(row.ids)
        mask[k, :count] = 1
        labels[k, :count] = torch.tensor(row.labels)
    return ids, mask, labels
