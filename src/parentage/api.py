"""The wiring behind the commands, and the public Python interface.

>>> from parentage import api
>>> result = api.audit("suspect/", parents=["a/", "b/"])   # doctest: +SKIP
>>> result.report.verdict.sentence                          # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.checkpoints.local import Checkpoint, open_checkpoint
from parentage.errors import EvidenceError, UsageError
from parentage.evidence.measure import AuditInputs, NamedCheckpoint, Options, Progress, measure
from parentage.records import evidence as evidence_records
from parentage.records import report as report_records
from parentage.records.codec import from_plain, to_plain
from parentage.records.evidence import Evidence, ModelRole
from parentage.records.json_files import dumps, load_json, write_json
from parentage.records.report import Report
from parentage.verdicts.judge import judge

__all__ = [
    "AuditResult",
    "audit",
    "load_evidence",
    "load_report",
    "render_html",
    "render_json",
    "save_evidence",
]

# From measured power (docs/log.md): 65,536 elements tell float32 recipes apart and see a change of
# .007 % of a tensor with 99 % power; a triple of 300 tensors reads 240 MB.
DEFAULT_SAMPLE = 65_536


def _silent(stage: str, done: int, total: int) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What was measured, and what was concluded from it."""

    evidence: Evidence
    report: Report


def audit(
    suspect: str,
    *,
    parents: Sequence[str] = (),
    controls: Sequence[str] = (),
    base: str | None = None,
    previous: str | None = None,
    candidates: str | None = None,
    sample: int = DEFAULT_SAMPLE,
    full: bool = False,
    seed: int = 0,
    workers: int = 0,
    claim: str | None = None,
    digests: bool = True,
    progress: Progress = _silent,
) -> AuditResult:
    """Audit a suspect; all models are paths to safetensors files or folders."""
    asked: dict[str, Any] = {
        "suspect": suspect,
        "parents": list(parents),
        "controls": list(controls),
        "base": base,
        "previous": previous,
        "candidates": candidates,
        "claim": claim,
    }
    options = Options(sample, seed, full, digests, workers or _cores())
    with ExitStack() as stack:
        inputs, notes = _open_all(stack, suspect, parents, controls, base, previous)
        found = measure(inputs, options, asked, notes, progress)
    return AuditResult(found, judge(found, claim=claim))


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)))


def _open_all(
    stack: ExitStack,
    suspect: str,
    parents: Sequence[str],
    controls: Sequence[str],
    base: str | None,
    previous: str | None,
) -> tuple[AuditInputs, list[str]]:
    wanted = [(suspect, ModelRole.SUSPECT), *((p, ModelRole.PARENT) for p in parents)]
    if base is not None and not _same_place(base, parents):
        wanted.append((base, ModelRole.BASE))
    if previous is not None:
        wanted.append((previous, ModelRole.PREVIOUS))
    wanted += [(c, ModelRole.CONTROL) for c in controls]
    if len(wanted) == 1:
        raise UsageError(
            "nothing to compare the suspect with",
            code="usage-no-parents",
            hint="name parents with -p, or models to try with --candidates",
        )
    notes = _check_repeats(wanted)
    names = _display_names([place for place, _ in wanted])
    models = []
    for (place, role), name in zip(wanted, names, strict=True):
        opened: Checkpoint = stack.enter_context(open_checkpoint(place))
        models.append(NamedCheckpoint(name, role, opened))
    return AuditInputs(tuple(models)), notes


def _same_place(one: str, others: Sequence[str]) -> bool:
    return os.path.realpath(one) in {os.path.realpath(o) for o in others}


def _check_repeats(wanted: Sequence[tuple[str, ModelRole]]) -> list[str]:
    seen: dict[str, tuple[str, ModelRole]] = {}
    for place, role in wanted:
        real = os.path.realpath(place)
        if real in seen:
            other = seen[real]
            raise UsageError(
                f"{place} is given as {other[1].value} and as {role.value}",
                code="usage-repeated-model",
                hint="name each model once; a model cannot explain itself",
            )
        seen[real] = (place, role)
    return []


def _display_names(places: Sequence[str]) -> list[str]:
    """The shortest tail of each path that tells it from the others."""
    parts = [Path(p).absolute().parts for p in places]
    names = []
    for own in parts:
        depth = 1
        while depth < len(own) and sum(p[-depth:] == own[-depth:] for p in parts) > 1:
            depth += 1
        names.append("/".join(own[-depth:]))
    return names


def save_evidence(found: Evidence, path: Path) -> None:
    """Write an evidence file atomically."""
    plain = to_plain(found)
    header = {"schema": evidence_records.SCHEMA, "version": evidence_records.VERSION}
    write_json(path, {**header, **plain}, compact=True)


def load_evidence(path: Path) -> Evidence:
    """Read an evidence file; ``EvidenceError`` when it is not one."""
    plain = load_json(path, schema=evidence_records.SCHEMA, version=evidence_records.VERSION)
    return from_plain(Evidence, plain)


def load_report(path: Path) -> Report:
    """Read a report; an evidence file is judged by this version's rules."""
    try:
        return report_records.load_report(path)
    except EvidenceError as error:
        if error.code != "file-wrong-schema":
            raise
        return judge(load_evidence(path))


def render_json(report: Report) -> str:
    """The report as JSON text."""
    return dumps(report_records.to_json(report))


def render_html(report: Report) -> str:
    """The report as one self-contained HTML page."""
    from parentage.reports.html import render

    return render(report)


def as_mapping(found: Evidence) -> Mapping[str, Any]:
    """An evidence as plain values, as its file holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(found)))
    return plain
