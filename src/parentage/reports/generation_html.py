"""What a model wrote, as one self-contained page: no script, no network, every value escaped."""

from __future__ import annotations

from functools import cache
from typing import Final

from jinja2 import Environment

from parentage.records.generation import Generation
from parentage.reports.engine import plain_engine
from parentage.reports.generation_chart import entropy_chart

__all__ = ["render_html"]

PROSE: Final = 4_000
# Tokens of one answer that are shown one by one; all are in the file of data.
MOST_SHOWN: Final = 4_000


def render_html(found: Generation) -> str:
    """The page; equal records give equal text."""
    page = _environment().get_template("generation.html.jinja")
    charts = [entropy_chart(w) for w in found.writings]
    return page.render(found=found, charts=charts, most=MOST_SHOWN) + "\n"


@cache
def _environment() -> Environment:
    return plain_engine(PROSE)
