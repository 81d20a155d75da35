"""``parentage report``: render a saved report, or judge a saved evidence again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parentage.errors import UsageError

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = "Render a saved report; an evidence file is judged first, by this version's rules."
EXAMPLES = (
    "Examples: parentage report report.json --html report.html | "
    "parentage report evidence.json --json - | parentage report report.json --text > report.txt"
)
STANDARD_OUTPUT = "-"


def command(
    report: Annotated[Path, typer.Argument(help="A report, evidence or dossier file (JSON).")],
    html: Annotated[
        str | None, typer.Option("--html", help="Write HTML to a file, or - for standard output.")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Print the text rendering (the default without --html, --json).")
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
) -> None:
    """Load, judge when needed, render."""
    from parentage import api
    from parentage.cli.output import print_any

    if text + (html == STANDARD_OUTPUT) + (json_file == STANDARD_OUTPUT) > 1:
        raise UsageError("only one output can go to standard output", code="usage-outputs")
    loaded = api.load_any_report(report)
    if html is not None:
        _write(html, api.render_html(loaded))
    if json_file is not None:
        _write(json_file, api.render_json(loaded))
    if text or (html is None and json_file is None):
        print_any(loaded)


def _write(place: str, content: str) -> None:
    from parentage.records.json_files import write_text

    if place == STANDARD_OUTPUT:
        # A lone surrogate of an undecodable file name has no encoding.
        typer.echo(content.encode("utf-8", errors="backslashreplace"), nl=False)
    else:
        write_text(Path(place), content)
