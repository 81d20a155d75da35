"""Renderers by name, loaded when used. A new one is a file and a line here.

Third parties add theirs through the entry-point group ``parentage.renderers``; an entry point is a
function from a Report to text. Names of this package cannot be taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final, cast

from parentage.errors import UsageError
from parentage.records.report import Report

__all__ = ["GROUP", "RENDERERS", "Renderer", "names", "renderer"]

Renderer = Callable[[Report], str]

GROUP: Final = "parentage.renderers"
RENDERERS: Final[Mapping[str, str]] = {
    "text": "parentage.reports.terminal:render_text",
    "json": "parentage.reports.json:render",
    "html": "parentage.reports.html:render",
}


def names() -> tuple[str, ...]:
    """Every renderer's name: ours in order, then third parties' sorted."""
    theirs = {e.name for e in entry_points(group=GROUP)} - set(RENDERERS)
    return (*RENDERERS, *sorted(theirs))


def renderer(name: str) -> Renderer:
    """The renderer of that name; raises ``UsageError`` (``renderer-unknown``)."""
    if name in RENDERERS:
        module, function = RENDERERS[name].split(":")
        return cast(Renderer, getattr(import_module(module), function))
    for entry in entry_points(group=GROUP, name=name):
        return cast(Renderer, entry.load())
    raise UsageError(f"no renderer is called {name!r}", code="renderer-unknown", hint=", ".join(names()))
