"""``parentage explore``: what lies between models, and what a search of recipes finds and over-fits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.cli import explore_noise

if TYPE_CHECKING:
    from parentage.records.exploring import PathExplored

__all__ = ["app"]

HELP = (
    "Models that nobody published: on the line between two, made by a search of merge recipes, or by "
    "adding noise."
)
PATH_HELP = (
    "The line from model B (weight 0) to model A (weight 1): the loss on text, scores on a task and the "
    "names that models give themselves, each with its interval, at every weight; and where a suspect "
    "falls. Each model on the line is made as a merge, stored, loaded, asked and thrown away."
)
PATH_EXAMPLES = """\
\b
Examples:
  parentage explore path ./tuned ./base --task arithmetic --html path.html
  Where does a suspect fall, and from which weight on does a merge give the parent's name?
    parentage explore path ./nex ./base --suspect ./rio --interview 48 --points 6 --html path.html
"""

SEARCH_HELP = (
    "Search merge recipes: SPACE is a recipe in which values are ranges, {low: 0, high: 1}, or "
    "{choices: [a, b]}. A stated budget of answers is spent on candidates; the chosen recipe is then asked "
    "problems that chose nothing, beside its parents, and the gap between both scores tells how much of "
    "the first was luck."
)
SEARCH_EXAMPLES = """\
\b
Examples:
  parentage explore search space.yaml --objective task:arithmetic --budget 400
  Ranges alone, by CMA-ES:
    parentage explore search space.yaml --objective own.jsonl:number --budget 800 --strategy cma-es
"""

EXAMPLES = """\
\b
Examples:
  parentage explore path ./tuned ./base --suspect ./model --task arithmetic --html path.html
  parentage explore search space.yaml --objective task:arithmetic --budget 400
  parentage explore noise ./member ./base
"""

app = typer.Typer(
    help=HELP, epilog=EXAMPLES, add_completion=False, no_args_is_help=True, rich_markup_mode=None
)


@app.command("path", help=PATH_HELP, epilog=PATH_EXAMPLES)
def path(
    first: Annotated[str, typer.Argument(metavar="A", help="The folder of a model: weight 1.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The folder of another: weight 0.")],
    suspect: Annotated[
        str | None, typer.Option("--suspect", help="A model that may lie on the line.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="A built-in task, or FILE.jsonl[:exact|number|contains].")
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option("--text", help="Paragraphs for the loss; else beginnings of plain sentences."),
    ] = None,
    points: Annotated[int, typer.Option("--points", help="Weights from 0 to 1, evenly.")] = 11,
    items: Annotated[int, typer.Option("--items", help="Problems of the task.")] = 48,
    interview: Annotated[
        int, typer.Option("--interview", help="Answers of each model to who it is; 0: none.")
    ] = 0,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Of the interview: en. Repeat it.")
    ] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Of each answer of the interview.")] = 64,
    seed: Annotated[int, typer.Option("--seed", help="Of problems and answers.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder that keeps what was measured; a run that was stopped goes on from it."
        ),
    ] = Path("path"),
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with the plots to a file.")
    ] = None,
) -> None:
    """Measure along a line."""
    from parentage.cli.progress import progress
    from parentage.cli.targets import check_targets
    from parentage.exploring.path import PathSettings, explore_path

    files = [html, None if json_file in (None, "-") else Path(str(json_file))]
    check_targets([f for f in files if f is not None], [first, second])
    settings = PathSettings(
        first,
        second,
        out,
        suspect=suspect,
        task=task,
        text=text,
        points=points,
        items=items,
        interview=interview,
        languages=tuple(language or ("en",)),
        most_tokens=max_tokens,
        seed=seed,
        device=device,
    )
    with progress() as shown:
        found = explore_path(settings, progress=shown)
    _write_path(found, json_file, html)


def _write_path(found: PathExplored, json_file: str | None, html: Path | None) -> None:
    from parentage.cli.output import encodable
    from parentage.cli.streams import emit_json
    from parentage.records.codec import to_plain
    from parentage.records.exploring import SCHEMA, VERSION
    from parentage.records.json_files import dumps, write_text
    from parentage.reports.path_html import render_html
    from parentage.reports.path_text import render_text

    text = dumps({"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    if html is not None:
        write_text(html, render_html(found))
    if json_file not in (None, "-"):
        write_text(Path(str(json_file)), text)
    if json_file == "-":
        emit_json(text)
    else:
        sys.stdout.write(encodable(render_text(found), sys.stdout.encoding or "utf-8"))


@app.command("search", help=SEARCH_HELP, epilog=SEARCH_EXAMPLES)
def search(
    space: Annotated[Path, typer.Argument(readable=False, help="A recipe with ranges, in YAML.")],
    objective: Annotated[
        str, typer.Option("--objective", help="task:NAME, or FILE.jsonl[:exact|number|contains].")
    ],
    budget: Annotated[int, typer.Option("--budget", help="Answers to tuned problems, in all.")],
    strategy: Annotated[
        str, typer.Option("--strategy", help="halving, thompson or cma-es (needs the extra search).")
    ] = "halving",
    candidates: Annotated[
        int, typer.Option("--candidates", help="Recipes drawn by halving and thompson.")
    ] = 8,
    problems: Annotated[
        int, typer.Option("--problems", help="Asked of each point by cma-es, the same of all.")
    ] = 16,
    held_out: Annotated[
        int, typer.Option("--held-out", help="Other problems, which tell how the chosen does.")
    ] = 96,
    seed: Annotated[int, typer.Option("--seed", help="Of candidates and problems.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for best.yaml and every answer; a run that was stopped goes on from it."
        ),
    ] = Path("search"),
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
) -> None:
    """Search recipes."""
    from parentage.cli.output import encodable
    from parentage.cli.progress import progress
    from parentage.cli.streams import emit_json
    from parentage.cli.targets import check_targets
    from parentage.exploring.search import SearchSettings, explore_search
    from parentage.records.codec import to_plain
    from parentage.records.json_files import dumps, write_text
    from parentage.records.searching import SCHEMA, VERSION
    from parentage.reports.search_text import render_text

    check_targets([Path(json_file)] if json_file not in (None, "-") and json_file else [], [str(space)])
    settings = SearchSettings(
        space, objective, budget, out, strategy, candidates, problems, held_out, seed, device
    )
    with progress() as shown:
        found = explore_search(settings, progress=shown)
    text = dumps({"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    if json_file == "-":
        emit_json(text)
        return
    if json_file is not None:
        write_text(Path(json_file), text)
    sys.stdout.write(encodable(render_text(found, str(out)), sys.stdout.encoding or "utf-8"))


app.command("noise", help=explore_noise.HELP, epilog=explore_noise.EXAMPLES)(explore_noise.command)
