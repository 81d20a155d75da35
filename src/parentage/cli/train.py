"""``parentage train``: what may be done to a model after it was made."""

from __future__ import annotations

import typer

from parentage.cli import train_randopt

__all__ = ["app"]

HELP = "Change a model after it was made, and say what was done."

app = typer.Typer(help=HELP, add_completion=False, no_args_is_help=True, rich_markup_mode=None)
app.command("randopt", help=train_randopt.HELP, epilog=train_randopt.EXAMPLES)(train_randopt.command)
