"""``parentage diff``: how two checkpoints differ, tensor by tensor."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "Per tensor: equal values, offset in units in the last place, relative delta, and, with --base, "
    "the cosine of the two deltas."
)
EXAMPLES = "Example: parentage diff ./a ./b --base ./base --json"


def command(
    first: Annotated[str, typer.Argument(help="A checkpoint.")],
    second: Annotated[str, typer.Argument(help="Another checkpoint.")],
    base: Annotated[str | None, typer.Option("--base", help="What both come from.")] = None,
    sample: Annotated[int, typer.Option("--sample", min=256)] = 65_536,
    full: Annotated[bool, typer.Option("--full", help="Every element.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two checkpoints."""
    import json

    from parentage import api
    from parentage.cli.progress import progress
    from parentage.cli.tables import print_difference
    from parentage.records.codec import to_plain

    with progress() as report_progress:
        difference = api.diff(
            first, second, base=base, sample=None if full else sample, progress=report_progress
        )
    if as_json:
        typer.echo(json.dumps(to_plain(difference), indent=1, ensure_ascii=False))
        return
    print_difference(difference)
