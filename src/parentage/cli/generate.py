"""``parentage generate``: what a local model writes, by ordinary decoding or by SwiReasoning."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parentage.errors import UsageError

if TYPE_CHECKING:
    from parentage.behaviour.generation.switching import Settings
    from parentage.records.generation import Generation

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "What MODEL, a folder with safetensors, writes after a prompt: by ordinary decoding, or by "
    "SwiReasoning, which lets a thinking model go on from expected embeddings while it is unsure and "
    "changes no weight. "
    "Every token is kept with its entropy and how its input was made."
)
EXAMPLES = """\
\b
Examples:
  parentage generate ./model --prompt "What is 17 times 23?"
  The same by SwiReasoning, with its trace as a page and as data:
    parentage generate ./model --prompt "17 times 23?" --swireasoning --html trace.html --json trace.json
  A whole prompt from a pipe, eight samples:
    cat prompt.txt | parentage generate ./model --prompt - --raw --temperature 1 --samples 8
"""
MOST_INPUT = 1 << 20


def command(
    model: Annotated[str, typer.Argument(help="The folder of a model.")],
    prompt: Annotated[str, typer.Option("--prompt", help="What it is asked; - reads standard input.")],
    raw: Annotated[
        bool, typer.Option("--raw", help="The prompt is the whole text: no chat template is used.")
    ] = False,
    swireasoning: Annotated[
        bool, typer.Option("--swireasoning", help="Switch between latent and explicit thinking.")
    ] = False,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", help="Of its own next input kept at a switch to latent, at first: 1."),
    ] = None,
    beta: Annotated[
        float | None, typer.Option("--beta", help="The same at a switch to explicit thinking: .7.")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option("--window", help="Least steps of explicit thinking before a switch back: 512."),
    ] = None,
    most_switches: Annotated[
        int | None,
        typer.Option(
            "--most-switches", help="Then thinking is asked to end; past twice as many an answer is forced."
        ),
    ] = None,
    answer_tokens: Annotated[
        int | None, typer.Option("--answer-tokens", help="Of a forced answer: 32.")
    ] = None,
    line_break: Annotated[
        float | None,
        typer.Option("--line-break", help="Share of a line break in the first latent input: 0."),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, max=65_536, help="New ones, at most.")
    ] = 512,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.0, max=2.0, help="0 is greedy.")
    ] = 0.0,
    samples: Annotated[int, typer.Option("--samples", min=1, max=1_000, help="Answers.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**31, help="Of the first answer; the next count on.")
    ] = 0,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file, or - for standard output.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with the plot to a file.")
    ] = None,
) -> None:
    """Let one model write."""
    from parentage.behaviour.generation.writing import Asked, write
    from parentage.cli.progress import progress

    given = {
        "alpha": alpha,
        "beta": beta,
        "window": window,
        "most_switches": most_switches,
        "answer_tokens": answer_tokens,
        "line_break": line_break,
    }
    settings = _settings({name: value for name, value in given.items() if value is not None}, swireasoning)
    _check_files(model, json_file, html)
    asked = Asked(_text(prompt), raw, max_tokens, temperature, samples, seed, settings)
    with progress() as shown:
        found = write(model, asked, lambda done, of: shown("writing", done, of))
    _write_outputs(found, json_file, html)


def _settings(given: Mapping[str, Any], asked: bool) -> Settings | None:
    from parentage.behaviour.generation.switching import Settings

    if given and not asked:
        raise UsageError(
            f"{', '.join(sorted(given)).replace('_', '-')} belong to SwiReasoning, which was not asked for",
            code="generate-settings",
            hint="add --swireasoning",
        )
    return Settings(**given) if asked else None


def _text(prompt: str) -> str:
    if prompt != "-":
        return prompt
    found = sys.stdin.buffer.read(MOST_INPUT + 1)
    if len(found) > MOST_INPUT:
        raise UsageError(
            "the prompt is longer than a mebibyte", code="generate-prompt", where="standard input"
        )
    return found.decode("utf-8", errors="replace")


def _check_files(model: str, json_file: str | None, html: Path | None) -> None:
    from parentage.cli.targets import check_targets

    files = [html, None if json_file in (None, "-") else Path(str(json_file))]
    check_targets([f for f in files if f is not None], [model])


def _write_outputs(found: Generation, json_file: str | None, html: Path | None) -> None:
    from parentage.cli.output import encodable
    from parentage.cli.streams import emit_json
    from parentage.records.codec import to_plain
    from parentage.records.generation import SCHEMA, VERSION
    from parentage.records.json_files import dumps, write_text
    from parentage.reports.generation_html import render_html
    from parentage.reports.generation_text import render_text

    text = dumps({"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    if html is not None:
        write_text(html, render_html(found))
    if json_file is not None and json_file != "-":
        write_text(Path(json_file), text)
    if json_file == "-":
        emit_json(text)
    else:
        sys.stdout.write(encodable(render_text(found), sys.stdout.encoding or "utf-8"))
