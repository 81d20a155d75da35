"""Options of all commands that ask a model who it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.errors import UsageError

if TYPE_CHECKING:
    from parentage.behaviour.opening import Spec

__all__ = [
    "KeyVariable",
    "Line",
    "LineServed",
    "Panel",
    "Price",
    "Recital",
    "Samples",
    "SecondReader",
    "reader_of",
]

Panel = Annotated[
    list[str] | None,
    typer.Option("--panel", help="Another to be asked the same: the base, a sibling. Repeat it."),
]
Samples = Annotated[int, typer.Option("--samples", min=1, max=10_000, help="Answers in each condition.")]
Recital = Annotated[
    Path | None,
    typer.Option("--recital", help="A text that may be recited: a published blurb, or a parent's answers."),
]
SecondReader = Annotated[
    str | None,
    typer.Option("--second-reader", help="An endpoint whose model reads answers too; it decides nothing."),
]
Line = Annotated[
    tuple[str, str] | None,
    typer.Option("--line", help="Two parents' folders: where between them do next tokens fall?"),
]
LineServed = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--line-served",
        help="Which of the panel are these parents, asked as TARGET is (panel-1 panel-2).",
    ),
]
KeyVariable = Annotated[
    str, typer.Option("--api-key-env", help="The environment variable that holds the key.")
]
Price = Annotated[
    str | None, typer.Option("--price", metavar="IN,OUT", help="Of a million tokens, for telling the cost.")
]


def reader_of(words: str | None) -> Spec | None:
    """A second reader; raises ``UsageError`` (``interview-target``) where it is no endpoint."""
    from parentage.behaviour.opening import ENDPOINT, spec_of

    spec = None if words is None else spec_of(words)
    if spec is not None and spec.kind != ENDPOINT:
        raise UsageError(
            "a second reader is asked through an endpoint", code="interview-target", where=spec.locator
        )
    return spec
