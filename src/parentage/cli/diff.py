"""``parentage diff``: how two checkpoints differ, tensor by tensor."""

from __future__ import annotations

from typing import Annotated

import typer

from parentage.cli.network import Budget, Cache, Requests, limits_of

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "How FIRST and SECOND differ, tensor by tensor: equal bits, distance in units in the last place, "
    "relative delta, and, with --base, the cosine of the two deltas. Tensors that only one has are "
    "listed with the reason."
)
EXAMPLES = """\
\b
Examples:
  How far are two models from each other?
    parentage diff ./a ./b
  Do two fine-tunes of one base move the same way? Every tensor listed:
    parentage diff ./a ./b --base ./base --limit 0
  Every element, for another program:
    parentage diff ./a ./b --full --json
"""


def command(
    first: Annotated[str, typer.Argument(help="A weight file, or a folder of them.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    base: Annotated[str | None, typer.Option("--base", help="What both come from.")] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=256, max=2**20, help="Elements examined in each tensor.")
    ] = 65_536,
    full: Annotated[bool, typer.Option("--full", help="Examine every element.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Tensors listed; 0: all.")] = 40,
    budget: Budget = None,
    budget_requests: Requests = None,
    cache: Cache = None,
) -> None:
    """Compare two checkpoints."""
    from parentage import api
    from parentage.cli.progress import progress
    from parentage.cli.tables import print_difference, print_json
    from parentage.records import difference as records

    with progress() as report_progress:
        found = api.diff(
            first,
            second,
            base=base,
            sample=None if full else sample,
            limits=limits_of(budget, budget_requests, cache),
            progress=report_progress,
        )
    if as_json:
        print_json(records.SCHEMA, records.VERSION, found)
    else:
        print_difference(found, limit=limit)
