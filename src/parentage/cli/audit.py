"""``parentage audit``: what is the suspect made of?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.cli.network import Budget, Cache, Requests, limits_of
from parentage.errors import CheckpointError, ReadError

if TYPE_CHECKING:
    from parentage.api import AuditResult
    from parentage.records.report import Report

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "What is SUSPECT made of? Reads weights only; never executes anything that it examines.\n\n"
    "Without --parent the parents are proposed from --candidates, or from the models that the "
    "suspect's own card, config, recipe and metadata name, where those lie beside it or, for a model on "
    "the hub, there. A model is a file or folder here, or an address (docs/places.md)."
)
EXAMPLES = """\
\b
Examples:
  Two suspected parents, and another fine-tune of their base as control:
    parentage audit ./rio -p ./nex -p ./qwen -c ./other-fine-tune --html report.html
  One suspected parent, and the base that both may come from:
    parentage audit ./model -p ./fine-tune --base ./base
  A slight fine-tune beside a far one: that both were made from the base is known:
    parentage audit ./model -p ./base -p ./fine-tune --root ./base
  Parents unknown: try every model of a folder, or those that a list names one a line:
    parentage audit ./model --candidates ./models --json -
    parentage audit ./model --candidates candidates.txt
  A model was uploaded again: the same bytes, the same merge, or something more?
    parentage audit ./new --previous ./old -p ./a -p ./b
  In a pipeline: exit 5 on signs of training, or of a parent that the model does not name:
    parentage audit ./model -p ./a -p ./b --fail-on training --fail-on undisclosed
  Models on a hub, reading 50 MB at most, and going on after an interruption:
    parentage audit org/rio -p org/nex -p org/qwen --budget 50MB --cache ./slices
  Replay every element; the same command goes on where it was interrupted:
    parentage audit ./model -p ./a -p ./b --full --resume progress
  The same on a Ray cluster, where every machine has the files at these paths:
    parentage audit ./model -p ./a -p ./b --full --engine ray --address auto --resume progress
  Write the recipe that was recovered, to carry it out again:
    parentage audit ./model -p ./a -p ./b --recipe-out recipe.yaml
  What would that read?
    parentage audit org/rio -p org/nex -p org/qwen --dry-run
  Keep what others need to check it:
    parentage audit ./model -p ./a -p ./b --evidence evidence.json
"""


def command(
    suspect: Annotated[str, typer.Argument(help="A weight file, or a folder of them.")],
    parent: Annotated[
        list[str] | None, typer.Option("--parent", "-p", help="A suspected parent; repeatable.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            "-c",
            help="Another fine-tune of the base, put through the same tests to show what chance "
            "gives; repeatable. Without one, the suspect's own delta with its rows shuffled.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", help="The model that deltas are taken from; it may also be a parent."),
    ] = None,
    previous: Annotated[
        str | None, typer.Option("--previous", help="An earlier upload of the suspect.")
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            "--root",
            help="Which of the models given is the one that the others were made from, as you know from "
            "dates or papers. Weights have no arrow; the report says that this was given.",
        ),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(
            "--candidates",
            help="A folder of models (also the hub's cache), or a text file that names one a line; "
            "# begins a comment. With --parent, related ones serve as controls.",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            min=256,
            max=2**20,
            help="Elements examined in each tensor. Without it 65,536; over a network 4,096, and more of "
            "what that leaves open, within --budget or 100 MB.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Replay the recipe on every element as well.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine", help="Where --full runs: threads, or ray (a cluster). No result depends on it."
        ),
    ] = "threads",
    address: Annotated[
        str | None,
        typer.Option("--address", help="The Ray cluster, such as auto; without it one is started here."),
    ] = None,
    device: Annotated[
        str,
        typer.Option("--device", help="What counts in --full: cpu, or cuda (a GPU, through torch)."),
    ] = "cpu",
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            help="Keep what --full has done in this file (or in a folder), and go on from it.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which elements are drawn.")] = 0,
    workers: Annotated[
        int,
        typer.Option("--workers", min=0, help="Threads; 0: one a core. No result depends on it."),
    ] = 0,
    claim: Annotated[
        str | None,
        typer.Option("--claim", help="A relation to test, such as independent or fine-tune."),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write the report as JSON; - for standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as HTML.")] = None,
    recipe_out: Annotated[
        Path | None,
        typer.Option("--recipe-out", help="Write the recovered recipe, for replay and merge."),
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="Write the evidence, for verify.")
    ] = None,
    no_digests: Annotated[
        bool,
        typer.Option("--no-digests", help="Do not hash the inputs (the evidence says so)."),
    ] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            help="Exit 5 when this is supported: a relation, training, or undisclosed (a parent "
            "that the suspect's own card, config, recipe or metadata does not name); repeatable.",
        ),
    ] = None,
    budget: Budget = None,
    budget_requests: Requests = None,
    cache: Cache = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read headers only and print what the audit would read, and leave out; --json too.",
        ),
    ] = False,
) -> None:
    """Run the audit, print the verdict, write what was asked for."""
    from parentage import api
    from parentage.cli.conditions import check_claim, check_conditions, refuse
    from parentage.cli.plan_output import write_plan
    from parentage.cli.progress import progress
    from parentage.cli.targets import check_targets
    from parentage.records.json_files import write_text

    check_claim(claim)
    check_conditions(fail_on or [])
    limits = limits_of(budget, budget_requests, cache)
    given = [suspect, *(parent or []), *(control or [])]
    given += [place for place in (base, previous, candidates) if place is not None]
    check_targets(_targets(json_file, html, evidence, resume, recipe_out), given)
    if dry_run:
        plan = api.plan_audit(
            suspect,
            parents=parent or [],
            controls=control or [],
            base=base,
            previous=previous,
            root=root,
            candidates=candidates,
            sample=sample,
            full=full,
            seed=seed,
            workers=workers,
            digests=not no_digests,
            limits=limits,
        )
        write_plan(plan, json_file)
        return
    with progress() as report_progress:
        result = api.audit(
            suspect,
            parents=parent or [],
            controls=control or [],
            base=base,
            previous=previous,
            root=root,
            candidates=candidates,
            sample=sample,
            full=full,
            seed=seed,
            workers=workers,
            claim=claim,
            digests=not no_digests,
            limits=limits,
            engine=engine,
            address=address,
            resume=resume,
            device=device,
            compile_first=True,
            progress=report_progress,
        )
    _write(result, json_file, html, evidence)
    _print(result.report, json_file, html)
    if recipe_out is not None:
        write_text(recipe_out, api.render_recipe(result.evidence))
    _completed(result)
    _examined(result)
    refuse(result, fail_on or [])


def _targets(
    json_file: str | None,
    html: Path | None,
    evidence: Path | None,
    resume: Path | None,
    recipe_out: Path | None,
) -> Iterator[Path]:
    if json_file is not None and json_file != "-":
        yield Path(json_file)
    yield from (path for path in (html, evidence, recipe_out) if path is not None)
    if resume is not None and not resume.is_dir():
        yield resume


def _write(result: AuditResult, json_file: str | None, html: Path | None, evidence: Path | None) -> None:
    from parentage import api
    from parentage.records.json_files import write_text

    if evidence is not None:
        api.save_evidence(result.evidence, evidence)
    if html is not None:
        write_text(html, api.render_html(result.report))
    if json_file is not None and json_file != "-":
        write_text(Path(json_file), api.render_json(result.report))


def _print(report: Report, json_file: str | None, html: Path | None) -> None:
    from parentage import api
    from parentage.cli.output import print_report
    from parentage.cli.streams import emit_json, plain_text, printing

    with printing():
        if json_file == "-":
            emit_json(api.render_json(report))
            return
        print_report(report)
        if html is not None:
            plain_text(f"HTML report: {html}")


def _completed(result: AuditResult) -> None:
    """Whatever the budget ended before makes the report one on a part of the model."""
    if result.left_out:
        total = len(result.left_out) + result.evidence.coverage.tensors_examined
        raise ReadError(
            f"the budget ended before {len(result.left_out):,} of {total:,} tensors were read; the report "
            f"is on the others",
            code="budget-spent",
            where=result.report.suspect.locator,
            hint="allow more with --budget, or examine less with --sample; the report lists the tensors",
        )


def _examined(result: AuditResult) -> None:
    if result.evidence.coverage.elements_examined == 0:
        raise CheckpointError(
            "no number of the suspect could be compared with another model's",
            code="nothing-examined",
            where=result.report.suspect.locator,
            hint="the report lists each tensor with the reason",
        )
