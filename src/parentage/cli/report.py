"""``parentage report``: render a saved report, or judge a saved evidence again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = "Render a saved report; an evidence file is judged first, by this version's rules."
EXAMPLES = "Example: parentage report report.json --html report.html"


def command(
    report: Annotated[Path, typer.Argument(help="A report or evidence file (JSON).")],
    html: Annotated[Path | None, typer.Option("--html", help="Write HTML to this file.")] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the text rendering.")] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
) -> None:
    """Load, judge when needed, render."""
    from parentage import api
    from parentage.cli.output import print_report
    from parentage.records.json_files import write_text

    loaded = api.load_report(report)
    if html is not None:
        write_text(html, api.render_html(loaded))
    if json_file == "-":
        typer.echo(api.render_json(loaded), nl=False)
    elif json_file is not None:
        write_text(Path(json_file), api.render_json(loaded))
    if text or (html is None and json_file is None):
        print_report(loaded)
