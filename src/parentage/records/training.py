"""What a training run was made of and did: ``training.json``, without its wall time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.json_files import load_json, write_json

__all__ = [
    "SCHEMA",
    "VERSION",
    "DataUsed",
    "ModelUsed",
    "TrainingRecord",
    "WeightFile",
    "load_training",
    "save_training",
]

SCHEMA = "parentage.training"
VERSION = 1
NOT_RECORDED = Absent("not recorded")


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of weights: bytes and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """A model by where it was found and what it was."""

    locator: str
    files: tuple[WeightFile, ...]


@dataclass(frozen=True, slots=True)
class DataUsed:
    """What was learnt from. ``sha256``: of the file's bytes, or of the task's own description.
    ``left_out``: examples of which nothing remained to learn within the longest length; ``cut``: that were
    cut to it."""

    name: str
    sha256: str
    examples: int
    left_out: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A finished run. ``kind``: "sft", "distill", "rl" or "randopt" (no steps: noise was added once).

    ``settings``: all that was asked, by name. ``losses``: of each step, in nats a token (what "rl" descends
    on is no loss in that sense; its ``rewards`` tell). ``rates``: the learning rate of each step; ``dose``:
    their sum. ``trained``: parameters that were changed, of ``parameters``. ``files``: the weights written;
    ``kept``: those of each checkpoint, by folder.
    """

    tool: str
    kind: str
    base: ModelUsed
    data: DataUsed
    settings: Mapping[str, Any]
    libraries: Mapping[str, str]
    parameters: int
    trained: int
    steps: int
    losses: tuple[float, ...]
    rates: tuple[float, ...]
    dose: float
    files: tuple[WeightFile, ...]
    kept: Mapping[str, tuple[WeightFile, ...]]
    teacher: ModelUsed | Absent = NOT_RECORDED
    rewards: tuple[float, ...] | Absent = NOT_RECORDED


def save_training(found: TrainingRecord, path: Path) -> None:
    """Write a record atomically."""
    write_json(path, {"schema": SCHEMA, "version": VERSION, **to_plain(found)})


def load_training(path: Path) -> TrainingRecord:
    """Read a record; ``EvidenceError`` when it is not one."""
    table = load_json(path, schema=SCHEMA, version=VERSION)
    return from_plain(TrainingRecord, {k: v for k, v in table.items() if k not in ("schema", "version")})
