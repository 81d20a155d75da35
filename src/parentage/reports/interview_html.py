"""An interview as one self-contained page: no script, no network, every value escaped."""

from __future__ import annotations

from functools import cache
from typing import Final

from jinja2 import Environment

from parentage.records.interview import Interview
from parentage.reports.engine import plain_engine
from parentage.reports.interview_text import CONDITION_WORDS

__all__ = ["render_html"]

PROSE: Final = 1_200


def render_html(found: Interview) -> str:
    """The page; equal interviews give equal text."""
    page = _environment().get_template("interview.html.jinja")
    return page.render(found=found, words=CONDITION_WORDS) + "\n"


@cache
def _environment() -> Environment:
    environment = plain_engine(PROSE)
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    return environment
