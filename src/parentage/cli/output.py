"""Printing a Report on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parentage.records.report import Report

__all__ = ["print_report"]


def print_report(report: Report) -> None:
    """Print the terminal rendering to standard output, at the terminal's width."""
    from rich.console import Console

    from parentage.reports.terminal import render

    console = Console(highlight=False)
    console.print(render(report))
