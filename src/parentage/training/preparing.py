"""From settings to a run that can begin: the model loaded, adapted, resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.training.bases import Base
from parentage.training.folders import RunFolder
from parentage.training.loading import adapted, load, prepare, sow
from parentage.training.outputs import Writer
from parentage.training.recording import identity
from parentage.training.running import Progress, Run
from parentage.training.settings import Course

__all__ = ["Prepared", "prepared"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run and the tokenizer of its model."""

    run: Run
    tokenizer: Any


def prepared(
    kind: str, settings: Any, bases: Mapping[str, Base], data_sha256: str, progress: Progress
) -> Prepared:
    """Load the model of ``bases["weights"]``; go on from what an earlier run of this very kind left.

    Raises ``UsageError`` (``training-other-run``, ``training-device``, ``training-targets``),
    ``RuntimeModelError``, ``CheckpointError`` (``training-tensors``).
    """
    course: Course = settings.course
    folder = RunFolder(settings.out, identity(kind, settings, bases, data_sha256))
    prepare(course.machine)
    sow(course.seed, 2**61)
    base = bases["weights"]
    model, tokenizer = load(base.locator, course.machine)
    if course.lora is not None:
        model = adapted(model, course.lora, course.seed)
    return Prepared(Run(Writer(base, model, course.lora), course, folder, progress), tokenizer)
