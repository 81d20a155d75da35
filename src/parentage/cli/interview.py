"""``parentage interview``: who a model says that it is, and what its template makes it say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

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
from parentage.errors import ReadError, UsageError

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "Who TARGET says that it is: asked with its chat template as shipped, with the template's own words "
    "taken out, and with turn markers alone; the texts that the template hides are listed. TARGET is the "
    "address of an OpenAI-compatible API, a GGUF file, a folder of a model, or a file of answers. Every "
    "answer is kept word for word."
)
EXAMPLES = """\
\b
Examples:
  A server on this machine, its template from the model's folder:
    parentage interview http://localhost:8080/v1 --template ./model --out answers
  A local model beside its base and a sibling:
    parentage interview ./model.gguf --panel ./base.gguf --panel ./sibling.gguf --html interview.html
  What would be asked, and what it may cost:
    parentage interview http://localhost:8080/v1 --dry-run --price 0.5,1.5
  Answers that were kept are read again, by this version's rules:
    parentage interview answers/suspect.jsonl --panel answers/panel-1.jsonl
"""


def command(
    target: Annotated[
        str, typer.Argument(help="Who is asked: ADDRESS[#model=NAME&template=PLACE] or a path.")
    ],
    panel: Panel = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", help="Where TARGET's chat template lies: a model's folder, or its file."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="TARGET's name at an endpoint that serves several.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder that keeps every answer; a run that was stopped goes on from it."
        ),
    ] = Path("interview"),
    samples: Samples = 320,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition", help="shipped, empty-system, stripped or raw; all that are allowed by default."
        ),
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Ask in this language only. Repeat it.")
    ] = None,
    questions: Annotated[
        list[Path] | None, typer.Option("--questions", help="A file of more questions (docs/interview.md).")
    ] = None,
    only_own: Annotated[
        bool, typer.Option("--only-own-questions", help="Ask those of --questions alone.")
    ] = False,
    recital: Recital = None,
    second_reader: SecondReader = None,
    line: Line = None,
    line_served: LineServed = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Every sample's seed follows from it.")] = 0,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, max=2.0)] = 1.0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, max=4096, help="Of each answer.")] = 160,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=64, help="Requests at a time.")
    ] = 4,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one answer.")] = 120.0,
    attempts: Annotated[int, typer.Option("--attempts", min=1, max=20, help="Of each request.")] = 5,
    api_key_env: KeyVariable = "OPENAI_API_KEY",
    price: Price = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be asked, and what templates hide.")
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to a file.")] = None,
) -> None:
    """Interview one model, and its panel."""
    from parentage.behaviour.endpoints.client import Limits
    from parentage.behaviour.findings import is_incomplete
    from parentage.behaviour.interviews import InterviewOptions, hold_interview, plan_interview
    from parentage.behaviour.opening import spec_of
    from parentage.behaviour.plan import CONDITIONS
    from parentage.cli.interview_output import Costs, announce, show_hidden, write_outputs

    wanted = tuple(condition or CONDITIONS)
    unknown = sorted(set(wanted) - set(CONDITIONS))
    if unknown:
        raise UsageError(
            f"no condition is called {', '.join(unknown)}",
            code="usage-condition",
            hint=", ".join(CONDITIONS),
        )
    options = InterviewOptions(
        out=out,
        samples=samples,
        seed=seed,
        temperature=temperature,
        max_tokens=max_tokens,
        conditions=wanted,
        languages=tuple(language or ()),
        questions=tuple(questions or ()),
        only_own_questions=only_own,
        recital=recital,
        second_reader=reader_of(second_reader),
        line=line,
        line_served=line_served,
        key=os.environ.get(api_key_env),
        limits=Limits(timeout=timeout, attempts=attempts, concurrency=concurrency),
    )
    costs = Costs.of(price)
    targets = [spec_of(target, model=model, template=template), *map(spec_of, panel or ())]
    announce(plan_interview(targets, options), costs)
    if dry_run:
        show_hidden(targets)
        return
    if html is not None or (json_file is not None and json_file != "-"):
        from parentage.cli.targets import check_targets

        files = [html, None if json_file in (None, "-") else Path(str(json_file))]
        check_targets([f for f in files if f is not None], [target, *(panel or ())])
    with costs.telling() as heard:
        found = hold_interview(targets, options, heard)
    write_outputs(found, json_file, html)
    left = [r for r in found.subjects[0].left_out if condition]
    if is_incomplete(found) or left:
        raise ReadError(
            "not every answer that was planned came: " + ("; ".join(left) or "see what is missing"),
            code="interview-incomplete",
            where=str(out),
            hint="run it again: it asks only what is missing",
        )
