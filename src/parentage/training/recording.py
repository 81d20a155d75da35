"""From a finished run to its files: the record, the times beside it, and the folder's name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parentage import __version__
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.json_files import write_json
from parentage.records.training import DataUsed, ModelUsed, TrainingRecord, save_training
from parentage.training.bases import Base
from parentage.training.loading import libraries
from parentage.training.running import Run

__all__ = ["Clock", "asked", "finished", "identity"]

PLACES = ("model", "student", "teacher", "data", "prompts")
NO_TEACHER = Absent("this kind of run has no teacher")
NO_REWARDS = Absent("this kind of run has no rewards")


@dataclass
class Clock:
    """Times and memory, which differ from run to run and stand in a file of their own."""

    begun: float = field(default_factory=time.monotonic)
    worked: float = field(default_factory=time.process_time)

    def write(self, folder: Path, run: Run) -> None:
        """``times.json``: of this process, from step ``resumed_at`` on."""
        steps, seconds = run.steps - run.start, time.monotonic() - self.begun
        write_json(
            folder / "times.json",
            {
                "schema": "parentage.training-times",
                "version": 1,
                "resumed_at": run.start,
                "steps": steps,
                "seconds": round(seconds, 3),
                "processor_seconds": round(time.process_time() - self.worked, 3),
                "peak_memory_bytes": _peak(run.course.machine.device),
            },
        )


def _peak(device: str) -> dict[str, int]:
    import resource
    import sys

    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    found = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device == "cuda":
        import torch

        found["device"] = int(torch.cuda.max_memory_allocated())
    return found


def asked(settings: Any) -> dict[str, Any]:
    """Settings as plain values; where the output goes is none of them."""
    plain: dict[str, Any] = to_plain({k: _plain(getattr(settings, k)) for k in settings.__slots__})
    plain.pop("out", None)
    return plain


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def identity(kind: str, settings: Any, models: Mapping[str, Base], data_sha256: str) -> dict[str, Any]:
    """What must be equal for a run to be gone on with. Folders may have moved: digests tell."""
    plain = {k: v for k, v in asked(settings).items() if k not in PLACES}
    course = plain.pop("course")
    digests = {name: base.digest() for name, base in models.items()}
    flat = {f"{k}.{n}": v for k, part in course.items() if isinstance(part, dict) for n, v in part.items()}
    rest = {k: v for k, v in course.items() if not isinstance(v, dict)}
    versions = {f"version of {k}": v for k, v in libraries().items()}
    return {"kind": kind, **plain, **flat, **rest, **digests, "data": data_sha256, **versions}


def finished(
    run: Run, kind: str, settings: Any, clock: Clock, data: DataUsed, teacher: ModelUsed | None = None
) -> TrainingRecord:
    """Write the models and the record, and give the folder its name. Raises ``OutputError``."""
    files = run.conclude()
    rates = tuple(run.course.optimizer.rate_at(k) for k in range(run.steps))
    found = TrainingRecord(
        tool=f"parentage {__version__}",
        kind=kind,
        base=run.writer.base.used,
        data=data,
        settings=asked(settings),
        libraries=libraries(),
        parameters=sum(p.numel() for p in run.writer.model.parameters()),
        trained=sum(p.numel() for p in run.parameters.values()),
        steps=run.steps,
        losses=tuple(run.losses),
        rates=rates,
        dose=float(sum(rates)),
        files=files,
        kept=dict(sorted(run.kept.items())),
        teacher=teacher or NO_TEACHER,
        rewards=tuple(run.rewards) if run.rewards else NO_REWARDS,
    )
    clock.write(run.folder.path, run)
    save_training(found, run.folder.path / "training.json")
    run.folder.publish()
    return found
