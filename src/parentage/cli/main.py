"""The ``parentage`` command: parses, calls, prints, exits. Everything heavy is imported on use."""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn, ParamSpec

import typer

from parentage import __version__
from parentage.cli import (
    audit,
    card,
    diff,
    dossier,
    explore,
    generate,
    inspect,
    interview,
    label,
    merge,
    replay,
    report,
    train,
    verify,
)
from parentage.cli.compiler_cache import compiler_cache
from parentage.cli.failures import report_failure
from parentage.cli.streams import printing

__all__ = ["app", "main"]

P = ParamSpec("P")

EPILOG = """\
\b
Examples:
  parentage audit ./model -p ./parent-a -p ./parent-b -c ./another-fine-tune
  parentage audit ./model --candidates ./models --html report.html
  parentage dossier ./model -p ./parent-a -p ./parent-b --interview answers --html dossier.html
  parentage verify evidence.json
  parentage inspect ./model
  parentage merge recipe.yaml ./merge
  parentage replay recipe.yaml ./model
  parentage label verify ./merge

\b
Exit codes:
  0  what was asked for is done
  1  our fault, or an output could not be written
  2  the command or a file given to it makes no sense
  3  nothing could be examined
  4  something planned could not be read, or a training run could not go on
  5  the condition asked for does not hold (--fail-on, verify, replay, label)

Every error has a code in brackets, which docs/errors.md explains.
"""

app = typer.Typer(
    name="parentage",
    help="What is this open-weight model really made of?",
    epilog=EPILOG,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _printing(command: Callable[P, None]) -> Callable[P, None]:
    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        with printing():
            command(*args, **kwargs)

    return guarded


for module in (audit, dossier, verify, report, card, inspect, diff, merge, replay, interview, generate):
    name = module.__name__.rpartition(".")[2]
    kind = card.JsonAlone if module is card else None
    app.command(name, cls=kind, help=module.HELP, epilog=module.EXAMPLES)(_printing(module.command))
app.add_typer(label.app, name="label")
app.add_typer(train.app, name="train")
app.add_typer(explore.app, name="explore")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"parentage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """What is this open-weight model really made of?"""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; one clear error with a stable code for every bad input."""
    # Modules make a million objects that stay: looking through them every 700 took .07 s of a start.
    gc.set_threshold(BETWEEN_COLLECTIONS)
    # One worker a core is ours to schedule: threads inside BLAS would fight with them.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding cannot show is shown by its escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    _leave(_run())


def _leave(status: int) -> NoReturn:
    # All memory goes back now: to look for cycles in it first would take up to .2 s.
    gc.freeze()
    head = sys.modules.get("parentage.engines.ray_head")
    if head is not None and head.Head.abandoned:
        # All is said and written; threads that still wait for the cluster's head would crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run() -> int:
    try:
        with compiler_cache(), printing():
            code = app(prog_name="parentage", standalone_mode=False)
    except Exception as error:
        return report_failure(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        sys.stderr.write("\ninterrupted: nothing half-written was left\n")
    return code if isinstance(code, int) else 0


INTERRUPTED = 130
BETWEEN_COLLECTIONS = 10_000
