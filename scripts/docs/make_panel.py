"""Write what the page on interviews shows of a real panel: ``python -m scripts.docs.make_panel``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from parentage.behaviour.answers_file import load_answers
from parentage.behaviour.interviews import read_interview
from parentage.records.json_files import write_text
from parentage.reports.interview_text import render_text

__all__ = ["PAGE", "page"]

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "interview.md"
ANSWERS: Final = ROOT / "tests" / "fixtures" / "panel-320"
LABELS: Final = ("suspect", "panel-1", "panel-2")
BLOCK: Final = re.compile(r"(<!-- panel -->\n).*?(<!-- end of panel -->)", re.S)


def page(text: str) -> str:
    """The page with the interview as this version reads it, without what each of the panel said."""
    found = read_interview([(label, load_answers(ANSWERS / f"{label}.jsonl")) for label in LABELS])
    told = render_text(found)
    suspect = told[: told.index(f"\n{LABELS[1]}: ")].rstrip("\n")
    beside = told[told.index("\nSuspect against panel") : told.index("\nLimits\n")].rstrip("\n")
    shown = f"{suspect}\n\n[…]\n{beside}"
    return BLOCK.sub(lambda m: f"{m[1]}```text\n{shown}\n```\n{m[2]}", text)


def main() -> None:
    """Write it."""
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
