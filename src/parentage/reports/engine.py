"""The template engine of all pages: it escapes every value, and an undefined one is an error."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.reports.wording import clipped, visible

__all__ = ["engine", "plain_engine"]


def engine(written: Callable[[object], object]) -> Environment:
    """An engine on this room's templates; ``written``: what a value becomes before it is escaped."""
    made = Environment(
        loader=PackageLoader("parentage.reports"),
        autoescape=True,
        finalize=written,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["absent"] = lambda value: isinstance(value, Absent)
    return made


def plain_engine(prose: int, visibly: Callable[[object], str] = visible) -> Environment:
    """One that shows every value by ``visibly``, and by the filter ``prose`` at most so many signs."""
    made = engine(lambda value: value if isinstance(value, Markup) else visibly(value))
    made.filters["prose"] = lambda text: clipped(text, prose)
    return made
