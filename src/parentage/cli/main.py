"""The ``parentage`` command: parses, calls, prints, exits. Everything heavy is imported on use."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from parentage import __version__
from parentage.cli import audit, diff, inspect, report, verify
from parentage.errors import ParentageError

__all__ = ["app", "main"]

EPILOG = "Exit codes: 0 done; 1 our fault; 2 usage; 3 nothing examined; 4 unreadable; 5 condition fails."

app = typer.Typer(
    name="parentage",
    help="What is this open-weight model really made of?",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("audit", help=audit.HELP, epilog=audit.EXAMPLES)(audit.command)
app.command("verify", help=verify.HELP, epilog=verify.EXAMPLES)(verify.command)
app.command("report", help=report.HELP, epilog=report.EXAMPLES)(report.command)
app.command("inspect", help=inspect.HELP, epilog=inspect.EXAMPLES)(inspect.command)
app.command("diff", help=diff.HELP, epilog=diff.EXAMPLES)(diff.command)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"parentage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """What is this open-weight model really made of?"""


def main() -> None:
    """Run the command line; one clear error with a stable code for every bad input."""
    # One worker a core is ours to schedule: threads inside BLAS would fight with them.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        app()
    except ParentageError as error:
        sys.stderr.write(_message(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: nothing half-written was left\n")
        sys.exit(130)


def _message(error: ParentageError) -> str:
    from parentage.reports.wording import visible

    lines = [f"error[{error.code}]: {visible(error.message)}"]
    if error.where:
        lines.append(f"  where: {visible(error.where)}")
    if error.hint:
        lines.append(f"  try:   {visible(error.hint)}")
    return "\n".join(lines) + "\n"
