"""Write what the page on interviews shows of real panels: ``python -m scripts.docs.make_panel``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from parentage.behaviour.answers_file import load_answers
from parentage.behaviour.interviews import read_interview
from parentage.records.json_files import write_text
from parentage.reports.interview_text import render_text

__all__ = ["PAGE", "PANELS", "page"]

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "interview.md"
ANSWERS: Final = ROOT / "tests" / "fixtures"
# By the marks on the page; the suspect first.
PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    "panel": ("panel-320/suspect", "panel-320/panel-1", "panel-320/panel-2"),
    "merge": ("panel-merge/suspect", "panel-320/panel-1", "panel-merge/panel-2"),
}


def _shown(files: tuple[str, ...]) -> str:
    """The interview as this version reads it, without what each of the panel said."""
    labels = ("suspect", *(f"panel-{k}" for k in range(1, len(files))))
    found = read_interview(
        [
            (label, load_answers(ANSWERS / f"{name}.jsonl"))
            for label, name in zip(labels, files, strict=True)
        ]
    )
    told = render_text(found)
    suspect = told[: told.index("\npanel-1: ")].rstrip("\n")
    beside = told[told.index("\nSuspect against panel") : told.index("\nLimits\n")].rstrip("\n")
    return f"{suspect}\n\n[…]\n{beside}"


def page(text: str) -> str:
    """The page with every panel in it."""
    for mark, files in PANELS.items():
        block = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end of {mark} -->)", re.S)
        shown = f"```text\n{_shown(files)}\n```\n"
        text = block.sub(lambda m, shown=shown: f"{m[1]}{shown}{m[2]}", text)
    return text


def main() -> None:
    """Write it."""
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
