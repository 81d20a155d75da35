"""``parentage audit``: what is the suspect made of?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.errors import ParentageError, UsageError

if TYPE_CHECKING:
    from parentage.records.report import Report

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = "What is SUSPECT made of? Reads weights only; never executes anything that it examines."
EXAMPLES = (
    "Examples: parentage audit ./rio -p ./nex -p ./qwen -c ./other-fine-tune --html report.html | "
    "parentage audit ./model --candidates ./models --json - | "
    "parentage audit ./new --previous ./old -p ./a -p ./b"
)


def command(
    suspect: Annotated[str, typer.Argument(help="A safetensors file or a folder of them.")],
    parent: Annotated[
        list[str] | None, typer.Option("--parent", "-p", help="A suspected parent; repeatable.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option("--control", "-c", help="Another fine-tune of the base; repeatable."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="The reference that deltas are taken from.")
    ] = None,
    previous: Annotated[
        str | None, typer.Option("--previous", help="An earlier upload of the suspect.")
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", help="A folder of models or a file that lists them."),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=256, help="Elements examined in each tensor.")
    ] = 65_536,
    full: Annotated[
        bool, typer.Option("--full", help="Replay the recipe on every element as well.")
    ] = False,
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
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="Write the evidence, for verify.")
    ] = None,
    no_digests: Annotated[
        bool,
        typer.Option("--no-digests", help="Do not hash the inputs (the evidence says so)."),
    ] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option("--fail-on", help="Exit 5 when supported: a relation, or training."),
    ] = None,
) -> None:
    """Run the audit, print the verdict, write what was asked for."""
    from parentage import api
    from parentage.cli.progress import progress
    from parentage.records.json_files import write_text

    if json_file == "-" and html is not None and str(html) == "-":
        raise UsageError("only one output can go to standard output", code="usage-outputs")
    with progress() as report_progress:
        result = api.audit(
            suspect,
            parents=parent or [],
            controls=control or [],
            base=base,
            previous=previous,
            candidates=candidates,
            sample=sample,
            full=full,
            seed=seed,
            workers=workers,
            claim=claim,
            digests=not no_digests,
            progress=report_progress,
        )
    if evidence is not None:
        api.save_evidence(result.evidence, evidence)
    if html is not None:
        write_text(html, api.render_html(result.report))
    _print(result.report, json_file, html)
    _condition(result.report, fail_on or [])


def _print(report: Report, json_file: str | None, html: Path | None) -> None:
    from parentage import api
    from parentage.cli.output import print_report
    from parentage.records.json_files import write_text

    if json_file == "-":
        typer.echo(api.render_json(report), nl=False)
        return
    if json_file is not None:
        write_text(Path(json_file), api.render_json(report))
    print_report(report)
    if html is not None:
        typer.echo(f"HTML report: {html}")


def _condition(report: Report, wanted: list[str]) -> None:
    for condition in wanted:
        relation = condition == report.verdict.relation and report.verdict.status == "supported"
        training = condition == "training" and report.post_training.status == "detected"
        if relation or training:
            raise _ConditionHolds(f"--fail-on {condition}: the report says so", code="fail-on")


class _ConditionHolds(ParentageError):
    """The condition of ``--fail-on`` holds."""

    exit_code = 5
    default_code = "fail-on"
