"""Printing a Report on the terminal, or into a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from parentage.records.dossier import Dossier
    from parentage.records.report import Report

__all__ = ["PIPE_WIDTH", "encodable", "print_any", "print_report"]

# Wide enough for every table, narrow enough to be read where it is pasted.
PIPE_WIDTH: Final = 100
# Our own signs in the letters of any encoding; a model's name is escaped instead, for it is evidence.
_PLAINER: Final = str.maketrans(
    {
        "█": "#",
        "░": ".",
        "─": "-",
        "–": "-",
        "−": "-",
        "·": "|",
        "•": "*",
        "…": "...",
        "σ": "sigma",
        "’": "'",
    }
)


def print_report(report: Report) -> None:
    """Print the terminal rendering to standard output, at the terminal's width.

    A pipe gets plain text of ``PIPE_WIDTH`` columns, or of as many as ``COLUMNS`` says; so does a
    terminal that cannot show every sign.
    """
    from rich.console import Console

    from parentage.reports.terminal import render, render_text

    console = Console(highlight=False)
    encoding = sys.stdout.encoding or "utf-8"
    if console.is_terminal and encoding.lower().replace("-", "") == "utf8":
        console.print(render(report))
        return
    told = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    sys.stdout.write(encodable(render_text(report, console.width if told else PIPE_WIDTH), encoding))


def print_any(report: Report | Dossier) -> None:
    """Print a report or a dossier."""
    from parentage.records.dossier import Dossier
    from parentage.reports.dossier_text import render_text

    if isinstance(report, Dossier):
        sys.stdout.write(encodable(render_text(report, PIPE_WIDTH), sys.stdout.encoding or "utf-8"))
    else:
        print_report(report)


def encodable(text: str, encoding: str) -> str:
    """The text in signs that ``encoding`` has; what is not ours to replace is escaped."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plainer = text.translate(_PLAINER)
        return plainer.encode(encoding, errors="backslashreplace").decode(encoding)
    return text
