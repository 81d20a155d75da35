"""An interview as one self-contained page: no script, no network, every value escaped."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.records.interview import Comparison, Interview
from parentage.reports.engine import plain_engine
from parentage.reports.html import own_text, policy
from parentage.reports.interview_text import CONDITION_WORDS, languages_of
from parentage.reports.line_words import line_words

__all__ = ["render_html"]

PROSE: Final = 1_200
# A page is for reading: further comparisons are in the JSON.
MOST_COMPARED: Final = 60


def render_html(found: Interview) -> str:
    """The page; equal interviews give equal text."""
    return _environment().get_template("interview.html.jinja").render(_page(found)) + "\n"


def _page(found: Interview) -> dict[str, Any]:
    style = Markup(own_text("report.css") + own_text("interview.css"))
    return {
        "found": found,
        "style": style,
        "policy": policy(style, ""),
        "words": CONDITION_WORDS,
        "line": () if isinstance(found.line, Absent) else tuple(line_words(found.line)),
        "languages": languages_of,
        "compared": tuple(_compared(found)),
    }


def _compared(found: Interview) -> Iterator[tuple[str, tuple[Comparison, ...]]]:
    for kind, title in (
        ("panel", "The suspect beside its panel"),
        ("condition", "One condition beside another"),
    ):
        rows = (c for c in found.comparisons if c.kind == kind)
        yield (
            title,
            tuple(sorted(rows, key=lambda c: (c.p_holm, c.shown, c.first, c.second))[:MOST_COMPARED]),
        )


@cache
def _environment() -> Environment:
    environment = plain_engine(PROSE)
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    return environment
