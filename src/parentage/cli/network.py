"""Options of all commands that read over a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.cli.quantities import parse_bytes

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_limits import RemoteLimits

__all__ = ["Budget", "Cache", "Requests", "limits_of"]

Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="SIZE",
        help="Most bytes read over a network in all, headers included: 100MB, 2GiB.",
    ),
]
Requests = Annotated[
    int | None,
    typer.Option("--budget-requests", min=1, help="Most requests sent over a network in all."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Keep what was read over a network here: a run that was stopped goes on with it.",
    ),
]


def limits_of(budget: str | None, requests: int | None, cache: Path | None) -> RemoteLimits:
    """The limits of one command; raises ``UsageError`` (``usage-amount``)."""
    from parentage.checkpoints.remote.remote_limits import RemoteLimits

    return RemoteLimits(None if budget is None else parse_bytes(budget, "--budget"), requests, cache)
