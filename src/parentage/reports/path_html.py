"""What lies between two models, as one self-contained page: no script, no network, every value escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment

from parentage.records.exploring import PathExplored
from parentage.reports.engine import plain_engine
from parentage.reports.path_chart import plots
from parentage.reports.path_text import render_text
from parentage.reports.wording import visible

__all__ = ["render_html"]


def render_html(found: PathExplored) -> str:
    """The page; equal records give equal text."""
    page = _environment().get_template("path.html.jinja")
    return page.render(found=found, plots=plots(found), table=render_text(found)) + "\n"


@cache
def _environment() -> Environment:
    return plain_engine(200, _seen)


def _seen(value: object) -> str:
    """Lines stay lines."""
    return "\n".join(visible(line) for line in str(value).split("\n"))
