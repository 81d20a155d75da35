"""``parentage dossier``: audit, interview and card under one plan, in one report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.cli.card_options import Called, ParentCards, Published, Scores
from parentage.cli.interview_options import (
    KeyVariable,
    Line,
    LineServed,
    Panel,
    Price,
    Recital,
    Samples,
    SecondReader,
    reader_of,
)
from parentage.cli.network import Budget, Cache, Requests, limits_of
from parentage.errors import UsageError

if TYPE_CHECKING:
    from parentage.api import Asked, DossierInputs, InterviewOptions

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "All there is on SUSPECT: what its weights are made of (audit), what it says it is (interview), what "
    "its card says, weighed together into one report. Each fact is told once, with all that supports it, "
    "how sure it is, and what each kind of evidence alone would have concluded."
)
EXAMPLES = """\
\b
Examples:
  Weights and the model's own card:
    parentage dossier ./rio -p ./nex -p ./qwen -c ./other-fine-tune --html dossier.html
  With answers that were kept by parentage interview:
    parentage dossier ./rio -p ./nex -p ./qwen --interview ./answers
  Ask a server, and a panel the same:
    parentage dossier ./rio -p ./nex -p ./qwen --ask http://localhost:8080/v1 --panel ./qwen.gguf
  Does it recite what a parent's maker published?
    parentage dossier ./rio -p ./nex -p ./qwen --interview ./answers --recital nex-blurb.txt
  What would that read, ask and cost?
    parentage dossier ./rio -p ./nex -p ./qwen --ask http://localhost:8080/v1 --plan --price 0.5,1.5
  Keep all of it for others to check, signed:
    parentage dossier ./rio -p ./nex -p ./qwen --archive dossier.zip --sign key.pem
  The audited files have other names than the card's models:
    parentage dossier ./rio -p ./a -p ./b --card README.md --called a=org/Nex --called b=org/Qwen
"""


def command(
    suspect: Annotated[str, typer.Argument(help="A weight file, a folder of them, or an address.")],
    parent: Annotated[
        list[str] | None, typer.Option("--parent", "-p", help="A suspected parent; repeatable.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option("--control", "-c", help="Another fine-tune of the base; repeatable."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="The model that deltas are taken from.")
    ] = None,
    previous: Annotated[
        str | None, typer.Option("--previous", help="An earlier upload of the suspect.")
    ] = None,
    root: Annotated[
        str | None,
        typer.Option("--root", help="Which of the models given the others were made from, as you know."),
    ] = None,
    candidates: Annotated[
        str | None, typer.Option("--candidates", help="A folder or a list of possible parents.")
    ] = None,
    interview: Annotated[
        str | None,
        typer.Option(
            "--interview", help="Kept answers (.jsonl), a folder of them, or a saved interview (.json)."
        ),
    ] = None,
    ask: Annotated[
        str | None, typer.Option("--ask", help="Ask this target, as of parentage interview.")
    ] = None,
    panel: Panel = None,
    template: Annotated[
        str | None, typer.Option("--template", help="Where the chat template of --ask lies.")
    ] = None,
    samples: Samples = 320,
    answers: Annotated[
        Path, typer.Option("--answers", help="Folder that keeps every answer of --ask.")
    ] = Path("interview"),
    recital: Recital = None,
    second_reader: SecondReader = None,
    line: Line = None,
    line_served: LineServed = None,
    api_key_env: KeyVariable = "OPENAI_API_KEY",
    price: Price = None,
    card: Annotated[
        str | None,
        typer.Option("--card", help="Where the card lies; without it the suspect's own, if it has one."),
    ] = None,
    called: Called = None,
    parent_card: ParentCards = None,
    published: Published = None,
    scores: Scores = None,
    history: Annotated[
        str | None, typer.Option("--history", metavar="PLACE", help="The card's versions.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", min=256, max=2**20, help="Elements examined in each tensor."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Replay the recipe on every element as well.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which elements and samples are drawn.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Threads; 0: one a core.")] = 0,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write the dossier as JSON; - for standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the dossier as HTML.")] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="Write the evidence of the audit, for verify.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", help="Write all that the dossier rests on, as one file (.zip)."),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            "--sign",
            help="A private key in PEM (P-256): sign the archive. If it is encrypted, "
            "PARENTAGE_KEY_PASSWORD holds the password.",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be read, asked and paid; do nothing else.")
    ] = False,
    budget: Budget = None,
    budget_requests: Requests = None,
    cache: Cache = None,
) -> None:
    """Plan, then audit, interview and card, then one report."""
    from parentage import api
    from parentage.cli.card_inputs import dates, pairs
    from parentage.cli.dossier_output import announce, completed, write_outputs
    from parentage.cli.interview_output import Costs
    from parentage.cli.label import signer_of
    from parentage.cli.progress import progress

    costs = Costs.of(price)
    options = api.InterviewOptions(
        out=answers,
        samples=samples,
        seed=seed,
        recital=recital,
        second_reader=reader_of(second_reader),
        line=line,
        line_served=line_served,
        key=os.environ.get(api_key_env),
    )
    told = (called, parent_card, published, scores, history)
    inputs = api.CardInputs(
        card or suspect,
        pairs(called, "--called"),
        pairs(parent_card, "--parent-card"),
        dates(published),
        (),
        scores,
        history,
    )
    given = api.DossierInputs(
        suspect,
        tuple(parent or ()),
        tuple(control or ()),
        base,
        previous,
        root,
        candidates,
        sample,
        full,
        seed,
        workers,
        _asked(interview, ask, panel, template, options),
        inputs if card is not None or any(told) else None,
        limits_of(budget, budget_requests, cache),
    )
    _check(given, json_file, html, evidence, archive)
    if sign is not None and archive is None:
        raise UsageError("--sign signs an archive", code="dossier-sign", hint="add --archive dossier.zip")
    signer = signer_of(sign)
    announce(api.plan_dossier(given), costs, json_file if plan else None, only=plan)
    if plan:
        return
    with costs.telling() as heard, progress() as report_progress:
        made = api.dossier(given, progress=report_progress, heard=heard, compile_first=True)
    if archive is not None:
        api.save_archive(made, archive, signer=signer)
    write_outputs(made, json_file, html, evidence)
    completed(made)


def _asked(
    interview: str | None,
    ask: str | None,
    panel: list[str] | None,
    template: str | None,
    options: InterviewOptions,
) -> Asked | None:
    from parentage import api

    if interview is not None and ask is not None:
        raise UsageError(
            "--interview reads what was answered, --ask asks: give one of them", code="dossier-interview"
        )
    more = options.recital, options.second_reader, options.line
    if interview is not None:
        place, others = _kept(interview, panel or [])
        if place.endswith(".json") and any(more):
            raise UsageError(
                "a saved interview is taken as it is: its answers are not read again",
                code="dossier-interview",
                where=place,
                hint="--recital, --second-reader and --line go with the files of answers (.jsonl)",
            )
        return api.Asked(place, others, options=options)
    if ask is None:
        if panel or any(more):
            raise UsageError(
                "--panel, --recital, --second-reader and --line go with an interview",
                code="dossier-interview",
                hint="give --ask or --interview too",
            )
        return None
    return api.Asked(ask, tuple(panel or ()), None, template, options)


def _kept(place: str, panel: list[str]) -> tuple[str, tuple[str, ...]]:
    """The suspect's file, and the panel's: those of its folder where a folder is named."""
    folder = Path(place)
    if not folder.is_dir():
        if not place.endswith((".json", ".jsonl")):
            raise UsageError(
                "kept answers are a file .jsonl, a folder of such, or a saved interview .json",
                code="dossier-interview",
                where=place,
            )
        return place, tuple(panel)
    found = sorted(folder.glob("panel-*.jsonl"), key=lambda p: (len(p.name), p.name))
    return str(folder / "suspect.jsonl"), (*map(str, found), *panel)


def _check(given: DossierInputs, json_file: str | None, *files: Path | None) -> None:
    from parentage.cli.targets import check_targets

    written = [*files, None if json_file in (None, "-") else Path(str(json_file))]
    models = [given.suspect, *given.parents, *given.controls]
    models += [m for m in (given.base, given.previous, given.candidates) if m is not None]
    if given.asked is not None:
        models += [given.asked.target, *given.asked.panel]
    check_targets([f for f in written if f is not None], models)
