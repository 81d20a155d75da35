"""What a model wrote, as one self-contained page: no script, no network, every value escaped."""

from __future__ import annotations

from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.records.generation import Generation
from parentage.reports.generation_chart import entropy_chart
from parentage.reports.wording import clipped, visible

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
    environment = Environment(
        loader=PackageLoader("parentage.reports"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else visible(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["absent"] = lambda value: isinstance(value, Absent)
    environment.filters["prose"] = lambda text: clipped(text, PROSE)
    return environment
