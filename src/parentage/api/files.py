"""Evidence and reports as files, and reports as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parentage.errors import EvidenceError
from parentage.merging.recipe_writing import recipe_text
from parentage.merging.recovered import recovered
from parentage.records import dossier as dossier_records
from parentage.records import evidence as evidence_records
from parentage.records import report as report_records
from parentage.records.codec import to_plain
from parentage.records.dossier import Dossier
from parentage.records.evidence import Evidence
from parentage.records.evidence_checks import read_evidence
from parentage.records.json_files import dumps, load_json, write_json
from parentage.records.report import Report
from parentage.verdicts.judge import judge

__all__ = [
    "load_any_report",
    "load_evidence",
    "load_evidence_object",
    "load_report",
    "render_html",
    "render_json",
    "render_recipe",
    "save_evidence",
]


def save_evidence(found: Evidence, path: Path) -> None:
    """Write an evidence file atomically."""
    plain = to_plain(found)
    header = {"schema": evidence_records.SCHEMA, "version": evidence_records.VERSION}
    write_json(path, {**header, **plain}, compact=True)


def load_evidence(path: Path) -> Evidence:
    """Read an evidence file; ``EvidenceError`` when it is not one."""
    return read_evidence(load_evidence_object(path))


def load_evidence_object(path: Path) -> dict[str, Any]:
    """An evidence file as it was written, its schema checked; ``EvidenceError``."""
    return load_json(path, schema=evidence_records.SCHEMA, version=evidence_records.VERSION)


def load_report(path: Path) -> Report:
    """Read a report; an evidence file is judged by this version's rules."""
    try:
        return report_records.load_report(path)
    except EvidenceError as error:
        if error.code != "file-wrong-schema":
            raise
        found = load_evidence(path)
        claim = found.asked.get("claim")
        return judge(found, claim=claim if isinstance(claim, str) else None)


def load_any_report(path: Path) -> Report | Dossier:
    """Read a report, an evidence file (judged by this version's rules) or a dossier."""
    try:
        return load_report(path)
    except EvidenceError as error:
        if error.code != "file-wrong-schema":
            raise
        return _load_dossier_or(path, error)


def _load_dossier_or(path: Path, first: EvidenceError) -> Dossier:
    try:
        return dossier_records.load_dossier(path)
    except EvidenceError as error:
        raise (first if error.code == "file-wrong-schema" else error) from None


def render_json(report: Report | Dossier) -> str:
    """The report, or the dossier, as JSON text."""
    if isinstance(report, Dossier):
        return dumps(dossier_records.to_json(report))
    return dumps(report_records.to_json(report))


def render_recipe(found: Evidence) -> str:
    """The recipe that an audit recovered, as YAML; ``NotRecoveredError`` where there is none.

    Its first lines say how much of the suspect it explains.
    """
    told = recovered(found)
    share = f"{told.matches:,} of {told.informative:,}"
    exact = told.matches == told.informative > 0
    what = "every element" if exact else "NOT EVERY element"
    return (
        "# Recovered by an audit. It reproduces "
        f"{what} that was examined where the parents differ: {share}.\n{recipe_text(told.recipe)}"
    )


def render_html(report: Report | Dossier) -> str:
    """The report, or the dossier, as one self-contained HTML page."""
    if isinstance(report, Dossier):
        from parentage.reports.dossier_html import render as render_dossier

        return render_dossier(report)
    from parentage.reports.html import render

    return render(report)
