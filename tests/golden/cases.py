"""What the golden reports are about: an audit of committed fixtures for each kind of verdict.

Two things are kept of each: the evidence, which only measuring again changes, and what this version makes
of it. ``python -m tests.golden`` writes the second anew from the first, ``--measure`` both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parentage import api
from parentage.records.report import Report
from parentage.reports.html import render as render_html
from parentage.reports.json import render as render_json
from parentage.reports.terminal import render_text

__all__ = ["CASES", "FOLDER", "RENDERINGS", "Case", "evidence_of", "expected", "masked", "report_of"]

FOLDER: Final = Path(__file__).resolve().parent / "saved"
ROOT: Final = Path(__file__).resolve().parents[2]
WIDTH: Final = 80
RUN: Final = "tests/fixtures/training-run"
KIT: Final = "tests/fixtures/mergekit"
CODES: Final = "tests/fixtures/quantised"
PARTS: Final = "tests/fixtures/parts"


@dataclass(frozen=True, slots=True)
class Case:
    """Paths are from the repository's root, so that no machine's own gets into a report."""

    name: str
    suspect: str
    parents: tuple[str, ...]
    controls: tuple[str, ...] = ()
    page: bool = False


_PARENTS: Final = (f"{RUN}/end.safetensors", f"{RUN}/base.safetensors")
_CONTROL: Final = (f"{RUN}/sibling-2.safetensors",)
CASES: Final = {
    case.name: case
    for case in (
        Case("merge", f"{RUN}/merge.safetensors", _PARENTS, _CONTROL, page=True),
        Case("merge-without-control", f"{RUN}/merge.safetensors", _PARENTS),
        Case("merge-trained", f"{RUN}/merge-trained-80.safetensors", _PARENTS, _CONTROL, page=True),
        Case("look-alike", f"{RUN}/step-360.safetensors", _PARENTS, _CONTROL, page=True),
        Case("fine-tune", f"{RUN}/end.safetensors", _PARENTS[1:], (f"{RUN}/sibling-1.safetensors",)),
        Case(
            "three-parents",
            f"{KIT}/linear-three.safetensors",
            tuple(f"{KIT}/{name}.safetensors" for name in "ABO"),
        ),
        Case(
            "another-arithmetic",
            f"{KIT}/linear-0.1.4.safetensors",
            (f"{KIT}/A.safetensors", f"{KIT}/O.safetensors"),
            (f"{KIT}/B.safetensors",),
        ),
        Case(
            "quantised-copy",
            f"{CODES}/q4-k.gguf",
            tuple(f"{CODES}/{name}.safetensors" for name in "AO"),
            (f"{CODES}/B.safetensors",),
        ),
        Case(
            "quantised-merge",
            f"{CODES}/merge-q8-0.gguf",
            tuple(f"{CODES}/{name}.safetensors" for name in "AO"),
            (f"{CODES}/B.safetensors",),
        ),
        Case(
            "mixed-merge",
            f"{PARTS}/stack.safetensors",
            tuple(f"{PARTS}/{name}.safetensors" for name in "OAB"),
        ),
    )
}


def _text(report: Report) -> str:
    return render_text(report, WIDTH)


RENDERINGS: Final[Mapping[str, Callable[[Report], str]]] = {
    "report.json": render_json,
    "report.txt": _text,
    "report.html": render_html,
}


def evidence_of(case: Case) -> Path:
    """Where its evidence is kept."""
    return FOLDER / f"{case.name}.evidence.json"


def report_of(case: Case) -> Report:
    """What this version makes of the saved evidence."""
    return api.load_report(evidence_of(case))


def expected(case: Case) -> dict[Path, Callable[[Report], str]]:
    """Its golden files and what renders them; pages of a few cases only, for they are long."""
    return {
        FOLDER / f"{case.name}.{kind}": render
        for kind, render in RENDERINGS.items()
        if case.page or kind != "report.html"
    }


def masked(text: str) -> str:
    """The text without the version of the program that measured, in JSON and on the page."""
    text = re.sub(r'("version": )"\d[^"]*"', r'\1"*"', text)
    return re.sub(r"Made with parentage [\w.+-]+,", "Made with parentage *,", text)
