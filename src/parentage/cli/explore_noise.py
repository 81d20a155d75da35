"""``parentage explore noise``: was a model moved by one stream of noise, as members of RandOpt are?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "Whether SUSPECT is BASE with one stream of noise added to all its tensors, as RandOpt's published "
    "code adds it: the correlation of the tensors' changes, element by element, beside the largest one at "
    "200 other offsets, and the size of the noise. Some megabytes of each are read, by range. A measure: "
    "no verdict of an audit rests on it."
)
EXAMPLES = """\
\b
Example:
  parentage explore noise ./thicket/member-01 ./base --json noise.json
"""


def command(
    suspect: Annotated[str, typer.Argument(help="A weight file, a folder of them, or an address.")],
    base: Annotated[str, typer.Argument(help="The model that noise may have been added to.")],
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
) -> None:
    """Measure and tell."""
    from parentage.cli.output import encodable
    from parentage.cli.streams import emit_json
    from parentage.cli.targets import check_targets
    from parentage.exploring.shared_noise import SCHEMA, VERSION, shared_noise
    from parentage.records.codec import to_plain
    from parentage.records.json_files import dumps, write_text
    from parentage.reports.noise_text import render_text

    check_targets([Path(json_file)] if json_file not in (None, "-") and json_file else [], [suspect, base])
    found = shared_noise(suspect, base)
    table = {
        "schema": SCHEMA,
        "version": VERSION,
        "suspect": suspect,
        "base": base,
        "found": to_plain(found),
    }
    if json_file == "-":
        emit_json(dumps(table))
        return
    if json_file is not None:
        write_text(Path(json_file), dumps(table))
    sys.stdout.write(encodable(render_text(suspect, base, found), sys.stdout.encoding or "utf-8"))
