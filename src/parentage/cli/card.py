"""``parentage card``: what a model card claims, against the evidence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from parentage.cli.card_options import Called, ParentCards, Published, Scores
from parentage.cli.network import Budget, Cache, Requests, limits_of
from parentage.errors import ParentageError, UsageError

if TYPE_CHECKING:
    from parentage.records.card_report import CardReport

__all__ = ["EXAMPLES", "HELP", "CardConditionHolds", "JsonAlone", "command"]

HELP = (
    "What the card of MODEL claims, claim by claim with its words, and what the evidence of an audit says "
    "of each: supported, contradicted, undetermined, untested or not checkable. A card is read by rules in "
    "six languages and is never evidence itself."
)
EXAMPLES = """\
\b
Examples:
  What does the card claim?
    parentage card ./model
  Does it say what the weights say?
    parentage audit ./model -p ./a -p ./b --evidence evidence.json
    parentage card ./model --from-evidence evidence.json
  The audited files have other names than the card's models:
    parentage card README.md --from-evidence evidence.json --called a=org/A --called b=org/B
  Which sentence came, changed or went, when, and did the weights change with it?
    parentage card org/model --history org/model
  Licences of the parents beside the model's, and dates:
    parentage card ./model --parent-card org/A=./a --published org/A=2026-05-31 --published 2026-06-07
"""


class CardConditionHolds(ParentageError):
    """The condition that was asked for does not hold."""

    exit_code = 5
    default_code = "card-condition"


def command(
    model: Annotated[str, typer.Argument(help="A model's folder or repository, or a card's file.")],
    from_evidence: Annotated[
        Path | None, typer.Option("--from-evidence", help="Evidence or a report of an audit.")
    ] = None,
    from_interview: Annotated[
        Path | None, typer.Option("--from-interview", help="A saved interview of the model (JSON).")
    ] = None,
    called: Called = None,
    parent_card: ParentCards = None,
    published: Published = None,
    words: Annotated[
        list[Path] | None, typer.Option("--words", help="A file of further words to read cards with.")
    ] = None,
    scores: Scores = None,
    history: Annotated[
        list[str] | None,
        typer.Option(
            "--history",
            metavar="PLACE",
            help="Versions of card and weights: a clone, org/name on the hub, or folders, oldest first.",
        ),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(
            "--reader",
            metavar="ADDRESS",
            help="An endpoint whose model proposes claims too; they are shown and never weighed.",
        ),
    ] = None,
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="The environment variable that holds its key.")
    ] = "OPENAI_API_KEY",
    declarations: Annotated[
        Path | None, typer.Option("--declarations", help="Write CycloneDX declarations here.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write an HTML page here.")] = None,
    json_file: Annotated[
        str | None,
        typer.Option("--json", help="Write JSON to a file, or - (or nothing) for standard output."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Claims listed by status; 0: all.")] = 40,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", help="Exit 5 when a claim is contradicted, or a parent undisclosed."),
    ] = None,
    budget: Budget = None,
    budget_requests: Requests = None,
    cache: Cache = None,
) -> None:
    """Read a card and weigh it."""
    from parentage import api
    from parentage.cli.card_inputs import dates, pairs
    from parentage.cli.targets import check_targets

    if fail_on not in (None, "contradicted", "undisclosed"):
        raise UsageError("--fail-on takes contradicted or undisclosed", code="usage-card")
    written = (declarations, html, None if json_file in (None, "-") else Path(str(json_file)))
    check_targets([f for f in written if f is not None], [model])
    report = api.card(
        model,
        evidence=from_evidence,
        interview=from_interview,
        called=pairs(called, "--called"),
        parent_cards=pairs(parent_card, "--parent-card"),
        published=dates(published),
        words=words or [],
        scores=scores,
        history=history,
        reader=reader,
        key=os.environ.get(api_key_env),
        limits=limits_of(budget, budget_requests, cache),
    )
    if declarations is not None:
        from parentage.cards.declarations import declarations as declared
        from parentage.records.json_files import write_json

        write_json(declarations, declared(report))
    _write(report, json_file, limit=limit, html=html)
    _check(report, fail_on)


class JsonAlone(TyperCommand):
    """``--json`` with nothing after it means standard output, as it did when it took no file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer, with the file's name filled in."""
        followed = [*args[1:], "--"]
        given = [
            part
            for one, after in zip(args, followed, strict=True)
            for part in ((one, "-") if one == "--json" and after.startswith("--") else (one,))
        ]
        return super().parse_args(ctx, given)


def _write(report: CardReport, json_file: str | None, *, limit: int, html: Path | None) -> None:
    from parentage.cli.streams import emit_json, plain_text
    from parentage.records import card_report as records
    from parentage.records.codec import to_plain
    from parentage.records.json_files import dumps, write_text
    from parentage.reports.card_text import card_lines

    if html is not None:
        from parentage.reports.card_html import render

        write_text(html, render(report))
    text = dumps({"schema": records.SCHEMA, "version": records.VERSION, **to_plain(report)})
    if json_file == "-":
        emit_json(text)
        return
    if json_file is not None:
        write_text(Path(json_file), text)
    for line in card_lines(report, limit=limit):
        plain_text(line.removeprefix("\n")) if not line.startswith("\n") else _spaced(line)


def _spaced(line: str) -> None:
    from parentage.cli.streams import plain_text

    plain_text("")
    plain_text(line[1:])


def _check(report: CardReport, fail_on: str | None) -> None:
    contradicted = [c for c in report.claims if c.status == "contradicted"]
    if fail_on == "contradicted" and contradicted:
        first = contradicted[0]
        raise CardConditionHolds(
            f"--fail-on contradicted: {len(contradicted)} of the card's claims, "
            f"{first.claim.kind} {first.claim.value!r} first: {first.reason}",
            where=report.reading.locator,
        )
    undisclosed = [f for f in report.findings if f.id == "undisclosed-parent"]
    if fail_on == "undisclosed" and undisclosed:
        raise CardConditionHolds(
            f"--fail-on undisclosed: {undisclosed[0].sentence}", where=report.reading.locator
        )
