"""A Report as JSON: the public contract, nothing more."""

from __future__ import annotations

from parentage.records.json_files import dumps
from parentage.records.report import Report, to_json

__all__ = ["render"]


def render(report: Report) -> str:
    """One object, indented, ending in a line feed; equal reports give equal text."""
    return dumps(to_json(report))
