"""A RandOpt run: what was tried, what was kept, and how the vote of the kept does on fresh problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.records.codec import from_plain, to_plain
from parentage.records.estimate import Estimate
from parentage.records.json_files import load_json, write_json

__all__ = [
    "SCHEMA",
    "VERSION",
    "Against",
    "KeptMember",
    "RandOptRun",
    "TriedMember",
    "load_randopt",
    "save_randopt",
]

SCHEMA = "parentage.randopt"
VERSION = 1


@dataclass(frozen=True, slots=True)
class TriedMember:
    """W + ``sigma``·ε of ``seed``, and its share of right answers on the tuned problems."""

    seed: int
    sigma: float
    tuned: Estimate


@dataclass(frozen=True, slots=True)
class Against:
    """A score on held-out problems, and the same problems' difference to the base's (paired; ``p``: exact
    sign test, two-sided)."""

    score: Estimate
    difference: Estimate
    p: float


@dataclass(frozen=True, slots=True)
class KeptMember:
    """A member that was written. ``files``: SHA-256 of its weight files; ``over_fitted``: its tuned score,
    by which it was chosen, less its held-out one."""

    folder: str
    seed: int
    sigma: float
    tuned: Estimate
    held_out: Against
    over_fitted: Estimate
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RandOptRun:
    """``settings``: all that was asked, by name; ``libraries``: versions on which answers depend;
    ``noise_stream``: how one stream is shared, in words; ``ensemble``: the kept members' majority vote."""

    tool: str
    base: str
    base_files: Mapping[str, str]
    settings: Mapping[str, Any]
    libraries: Mapping[str, str]
    noise_stream: str
    base_tuned: Estimate
    base_held_out: Estimate
    tried: tuple[TriedMember, ...]
    kept: tuple[KeptMember, ...]
    ensemble: Against
    answers_asked: int
    limits: tuple[str, ...]


def save_randopt(found: RandOptRun, path: Path) -> None:
    """Write a run atomically."""
    write_json(path, {"schema": SCHEMA, "version": VERSION, **to_plain(found)})


def load_randopt(path: Path) -> RandOptRun:
    """Read a run; ``EvidenceError`` when it is not one."""
    table = load_json(path, schema=SCHEMA, version=VERSION)
    return from_plain(RandOptRun, {k: v for k, v in table.items() if k not in ("schema", "version")})
