"""``parentage inspect``: what is in a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from parentage.cli.network import Budget, Cache, Requests, limits_of

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "What is in MODEL: tensors by role and layer, dtypes and what their numbers really are, sizes, "
    "digests, oddities, the sources that its own files name. Nothing is executed."
)
EXAMPLES = """\
\b
Examples:
  What is in it, at a glance:
    parentage inspect ./model
  Everything, with digests, every tensor listed:
    parentage inspect ./model --digests --limit 0
  For another program:
    parentage inspect ./model.safetensors --json
"""


def command(
    model: Annotated[str, typer.Argument(help="A weight file, or a folder of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
    digests: Annotated[
        bool,
        typer.Option("--digests", help="Read everything: SHA-256 by file, NaN and infinity counted."),
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Tensors and oddities listed; 0: all.")] = 40,
    budget: Budget = None,
    budget_requests: Requests = None,
    cache: Cache = None,
) -> None:
    """Inspect one checkpoint."""
    from parentage import api
    from parentage.cli.progress import progress
    from parentage.cli.tables import print_inspection, print_json
    from parentage.records import inspection as records

    with progress() as report_progress:
        limits = limits_of(budget, budget_requests, cache)
        found = api.inspect(model, digests=digests, limits=limits, progress=report_progress)
    if as_json:
        print_json(records.SCHEMA, records.VERSION, found)
    else:
        print_inspection(found, limit=limit)
