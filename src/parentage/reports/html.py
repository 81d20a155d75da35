"""A Report as one self-contained HTML page: no network, no file beside it, no need of scripts.

Everything that a model, a path or a saved report can put into the page is hostile until shown
otherwise. So there is one way in: the template engine, which escapes every value (autoescape is
never off, and no template marks a value safe) after ``visible`` has written out the characters
that hide or reorder others. The page's own style and script are named in its content security
policy by their SHA-256; anything else that looked like one would not run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.records.report import Replay, Report
from parentage.reports import headline
from parentage.reports.changes import change_strips, experts_text, scale_labels
from parentage.reports.charts import curve_chart, histogram, weight_bar
from parentage.reports.engine import engine
from parentage.reports.findings_text import biased, loosest, ranks, unmeasured
from parentage.reports.glossary import GLOSSARY
from parentage.reports.guidance import audit_command, next_steps, verify_command
from parentage.reports.layer_map import layer_grid, reordering_text
from parentage.reports.maps import difference_maps, match_map, weight_maps
from parentage.reports.meanings import arithmetic_words, meaning
from parentage.reports.references import MEASURED_SOURCE, PUBLISHED_SOURCE
from parentage.reports.tensor_table import TABLE_LIMIT, tensor_table
from parentage.reports.wording import (
    bits_text,
    bound_text,
    bytes_text,
    clipped,
    count_text,
    estimate_text,
    interval_text,
    is_open,
    level_text,
    match_text,
    plain,
    relation_words,
    setting_words,
    share_text,
    size_text,
    status_words,
    visible,
)

__all__ = [
    "DETAIL_LIMIT",
    "NAME_LIMIT",
    "PROSE_LIMIT",
    "TABLE_LIMIT",
    "environment",
    "own_text",
    "policy",
    "render",
]

NAME_LIMIT: Final = 160
# A sentence of ours is at most about 400 characters; more is a name that floods the page.
PROSE_LIMIT: Final = 1_200
# Lists that are summed up above them: more rows than these are for the JSON report.
DETAIL_LIMIT: Final = 200
# Parameters of a replay that the page tells in words of its own.
_TOLD: Final = frozenset({"established", "indistinguishable", "all_elements"})
_PACKAGE: Final = "parentage.reports"


def render(report: Report) -> str:
    """The page as text in UTF-8 terms; equal reports give equal text."""
    return environment().get_template("report.html.jinja").render(_page(report)) + "\n"


def _page(report: Report) -> dict[str, Any]:
    style, script = own_text("report.css"), own_text("report.js")
    offsets = report.offset_histogram
    return {
        "report": report,
        "style": style,
        "script": script,
        "policy": policy(style, script),
        "facts": headline.facts(report),
        "verdict_words": headline.verdict_words(report.verdict),
        "meaning": meaning(report.verdict),
        "parents_title": headline.parents_title(report),
        "weight_maps": weight_maps(report),
        "match_map": match_map(report),
        "layer_grids": layer_grid(report),
        "difference_maps": difference_maps(report),
        "curve": curve_chart(report.consistency_curve),
        "histogram": histogram(offsets),
        "histogram_text": "" if isinstance(offsets, Absent) else headline.histogram_text(offsets),
        "later_is_judged": headline.has_later_change_to_judge(report),
        "change_strips": change_strips(report.post_training),
        "scale_labels": scale_labels(),
        "published_source": PUBLISHED_SOURCE,
        "measured_source": MEASURED_SOURCE,
        "changed_later": headline.was_changed_later(report),
        "show_match": headline.is_established(report) or report.verdict.status == "undetermined",
        "established": headline.is_established(report),
        "novelty": headline.novelty_text(report),
        "alternatives": headline.alternatives(report.replay),
        "parameters": _parameters(report.replay),
        "real_controls": headline.real_controls(report),
        "suspect_consistency": headline.suspect_consistency(report),
        "levels": headline.interval_meanings(report),
        "causes": _causes(report),
        "excluded": _rivals(report, alive=False),
        "alive": _rivals(report, alive=True),
        "loosest": loosest(report.strata),
        "ranks": ranks(report),
        "biased": biased(report.least_squares),
        "unmeasured": unmeasured(report),
        "table": tensor_table(report),
        "audit_command": audit_command(report),
        "verify_command": verify_command(),
        "next_steps": next_steps(report),
        "glossary": GLOSSARY,
        "table_limit": TABLE_LIMIT,
        "detail_limit": DETAIL_LIMIT,
    }


@cache
def environment() -> Environment:
    """The one template engine of all pages: it escapes every value, after ``visible``."""
    environment = engine(_written)
    environment.tests["open"] = is_open
    environment.filters.update(
        arithmetic=lambda text: clipped(arithmetic_words(text), PROSE_LIMIT),
        bits=bits_text,
        bound=bound_text,
        bytes=bytes_text,
        control_weight=headline.control_weight_text,
        count=count_text,
        digest_rows=_digest_rows,
        estimate=estimate_text,
        experts=experts_text,
        interval=interval_text,
        level=level_text,
        matched=match_text,
        name=_name,
        plain=_plain,
        prose=_prose,
        reordering=reordering_text,
        relation=lambda text: clipped(relation_words(text), NAME_LIMIT),
        sentence=_sentence,
        settings=_settings,
        shared=share_text,
        size=size_text,
        status=status_words,
        verbatim=_verbatim,
        weight_bar=weight_bar,
    )
    return environment


def _written(value: object) -> object:
    """What an expression of a template becomes before it is escaped."""
    return value if isinstance(value, Markup) else visible(value)


def own_text(name: str) -> Markup:
    """A style or script of ours."""
    # The only text that is not escaped: our own style and script, which hold no value of a report.
    return Markup(files(_PACKAGE).joinpath("templates", name).read_text(encoding="utf-8"))


def policy(style: str, script: str) -> str:
    """The content security policy that allows these two, by digest, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _name(text: object) -> str:
    return clipped(text, NAME_LIMIT)


def _prose(text: object) -> str:
    return clipped(text.reason if isinstance(text, Absent) else text, PROSE_LIMIT)


def _verbatim(text: object) -> str:
    """Lines as they are, each made visible: a finalised value may hold line ends only here."""
    return Markup("\n").join(clipped(line, PROSE_LIMIT) for line in str(text).splitlines()[:200])


def _sentence(text: object) -> str:
    """Prose that ends with a full stop; it may begin with a name, so its first letter stays."""
    words = _prose(text)
    return words if words.endswith((".", "?", "!")) else f"{words}."


def _plain(value: object) -> str:
    return clipped(plain(value), PROSE_LIMIT)


def _parameters(replay: Replay | Absent) -> Mapping[str, Any]:
    if isinstance(replay, Absent):
        return {}
    return {k: v for k, v in replay.parameters.items() if k not in _TOLD}


def _rivals(report: Report, *, alive: bool) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Reasons with the relations that they speak of, in the report's order."""
    by_reason: dict[str, list[str]] = {}
    for rival in report.verdict.rivals:
        if isinstance(rival.why_excluded, Absent) == alive:
            by_reason.setdefault(_sentence(rival.why_excluded), []).append(relation_words(rival.relation))
    return tuple((reason, tuple(relations)) for reason, relations in by_reason.items())


def _causes(report: Report) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
    """Other causes of a residual by the reason given, and whether it excludes them."""
    by_reason: dict[tuple[str, bool], list[str]] = {}
    for rival in report.post_training.rivals:
        key = _sentence(rival.why_excluded), not isinstance(rival.why_excluded, Absent)
        by_reason.setdefault(key, []).append(_prose(rival.cause))
    return tuple((reason, excluded, tuple(causes)) for (reason, excluded), causes in by_reason.items())


def _settings(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Free settings as name and text, sorted, for their order says nothing."""
    return tuple(
        (clipped(setting_words(key), NAME_LIMIT), clipped(_setting(values[key]), PROSE_LIMIT))
        for key in sorted(values)
    )


def _setting(value: Any) -> str:
    if value is None or (isinstance(value, (dict, list, tuple)) and not value):
        return "none"
    nested = isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list, tuple)) for v in value)
    if nested or isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=plain)
    return plain(value)


def _digest_rows(digests: Mapping[str, str | Absent] | Absent) -> tuple[tuple[str, str], ...]:
    if isinstance(digests, Absent):
        return (("SHA-256", _prose(digests)),)
    return tuple((_name(file), _plain(digests[file])) for file in sorted(digests))
