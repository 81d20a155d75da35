"""Options of all commands that weigh a card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Called", "ParentCards", "Published", "Scores"]

Called = Annotated[
    list[str] | None,
    typer.Option("--called", metavar="INPUT=NAME", help="An audited model is the one called NAME."),
]
ParentCards = Annotated[
    list[str] | None,
    typer.Option("--parent-card", metavar="NAME=PLACE", help="The card of another model: licence, scores."),
]
Published = Annotated[
    list[str] | None,
    typer.Option(
        "--published", metavar="[NAME=]DATE", help="When a model, or without NAME this one, came out."
    ),
]
Scores = Annotated[
    Path | None,
    typer.Option("--scores", help="Scores that others measured: a CSV table (docs/cards.md)."),
]
