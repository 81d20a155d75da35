"""``parentage verify``: re-derive a saved evidence from its pinned inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parentage.errors import ParentageError

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "Re-derive every number of EVIDENCE from the pinned inputs, ignoring what it stores, "
    "and name what differs. Exit 5 when something differs."
)
EXAMPLES = "Example: parentage verify evidence.json --model merge=/models/merge"

SHOWN = 20


def command(
    evidence: Annotated[Path, typer.Argument(help="An evidence file written by audit.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="NAME=PATH: where an input lies here; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0)] = 0,
) -> None:
    """Verify and say so."""
    from parentage import api
    from parentage.cli.progress import progress
    from parentage.reports.wording import visible

    with progress() as report_progress:
        outcome = api.verify(
            evidence, places=_places(model or []), workers=workers, progress=report_progress
        )
    if not outcome.differences:
        typer.echo(f"verified: {outcome.compared:,} values re-derived from the pinned inputs agree")
        return
    for difference in outcome.differences[:SHOWN]:
        typer.echo(visible(difference))
    rest = len(outcome.differences) - SHOWN
    if rest > 0:
        typer.echo(f"… and {rest:,} more")
    raise _Differs(
        f"{len(outcome.differences):,} of {outcome.compared:,} values differ", code="verify-differs"
    )


def _places(models: list[str]) -> dict[str, str]:
    places = {}
    for entry in models:
        name, separator, path = entry.partition("=")
        if not separator:
            raise _BadPlace(f"--model {entry}: expected NAME=PATH", code="usage-model")
        places[name] = path
    return places


class _BadPlace(ParentageError):
    """``--model`` was not NAME=PATH."""

    exit_code = 2
    default_code = "usage-model"


class _Differs(ParentageError):
    """The evidence does not follow from its inputs."""

    exit_code = 5
    default_code = "verify-differs"
