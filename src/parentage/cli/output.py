"""Printing a Report on the terminal, or into a pipe."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parentage.records.report import Report

__all__ = ["PIPE_WIDTH", "print_report"]

# Wide enough for every table, narrow enough to be read where it is pasted.
PIPE_WIDTH = 100


def print_report(report: Report) -> None:
    """Print the terminal rendering to standard output, at the terminal's width.

    A pipe gets plain text of ``PIPE_WIDTH`` columns, or of as many as ``COLUMNS`` says.
    """
    from rich.console import Console

    from parentage.reports.terminal import render, render_text

    # A terminal of another encoding shows a question mark where it has no letter, and does not fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(render(report))
        return
    width = console.width if os.environ.get("COLUMNS", "").isdigit() else PIPE_WIDTH
    sys.stdout.write(render_text(report, width))
