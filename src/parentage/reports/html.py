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
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import median
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import (
    ArithmeticMatch,
    LeastSquares,
    Replay,
    Report,
    Stratum,
    TensorVerdict,
)
from parentage.reports.charts import change_bars, curve_chart, histogram, weight_bar
from parentage.reports.glossary import GLOSSARY
from parentage.reports.guidance import audit_command, next_steps, verify_command
from parentage.reports.maps_svg import column_of, match_map, weight_maps
from parentage.reports.wording import (
    PUBLISHED_SOURCE,
    bits_text,
    bound_text,
    bytes_text,
    clipped,
    count_text,
    estimate_text,
    interval_text,
    level_text,
    match_text,
    plain,
    relation_words,
    share_text,
    size_text,
    status_words,
    visible,
)

__all__ = ["NAME_LIMIT", "PROSE_LIMIT", "TABLE_LIMIT", "render"]

# A table of 3,000 rows takes a phone about a second to lay out; the JSON report lists every row.
TABLE_LIMIT: Final = 3_000
NAME_LIMIT: Final = 160
# A sentence of ours is at most about 400 characters; more is a name that floods the page.
PROSE_LIMIT: Final = 1_200
_PACKAGE: Final = "parentage.reports"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the tensor table, with least squares beside the weight that it misreads."""

    tensor: TensorVerdict
    column: str
    least_squares: LeastSquares | None


@dataclass(frozen=True, slots=True)
class _Biased:
    """Least squares over the tensors: lowest, middle and highest reading."""

    low: float
    middle: float
    high: float
    tensors: int


def render(report: Report) -> str:
    """The page as text in UTF-8 terms; equal reports give equal text."""
    return _environment().get_template("report.html.jinja").render(_page(report)) + "\n"


def _page(report: Report) -> dict[str, Any]:
    style, script = _own("report.css"), _own("report.js")
    return {
        "report": report,
        "style": style,
        "script": script,
        "policy": _policy(style, script),
        "weight_maps": weight_maps(report),
        "match_map": match_map(report),
        "curve": curve_chart(report.consistency_curve),
        "histogram": histogram(report.offset_histogram),
        "change_bars": change_bars(report.post_training),
        "published_source": PUBLISHED_SOURCE,
        "alternatives": _alternatives(report.replay),
        "levels": _levels(report),
        "excluded": _rivals(report, alive=False),
        "alive": _rivals(report, alive=True),
        "loosest": _loosest(report.strata),
        "rows": _rows(report),
        "biased": _biased(report.least_squares),
        "audit_command": audit_command(report),
        "verify_command": verify_command(),
        "next_steps": next_steps(report),
        "glossary": GLOSSARY,
        "table_limit": TABLE_LIMIT,
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        finalize=_written,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["absent"] = _is_absent
    environment.filters.update(
        bits=bits_text,
        bound=bound_text,
        bytes=bytes_text,
        count=count_text,
        digest_rows=_digest_rows,
        estimate=estimate_text,
        interval=interval_text,
        level=level_text,
        matched=match_text,
        name=_name,
        plain=_plain,
        prose=_prose,
        relation=lambda text: clipped(relation_words(text), NAME_LIMIT),
        settings=_settings,
        shared=share_text,
        size=size_text,
        sortable=_sortable,
        status=status_words,
        weight_bar=weight_bar,
    )
    return environment


def _written(value: object) -> object:
    """What an expression of a template becomes before it is escaped."""
    return value if isinstance(value, Markup) else visible(value)


def _own(name: str) -> Markup:
    # The only text that is not escaped: our own style and script, which hold no value of a report.
    return Markup(files(_PACKAGE).joinpath("templates", name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _is_absent(value: object) -> bool:
    return isinstance(value, Absent)


def _name(text: object) -> str:
    return clipped(text, NAME_LIMIT)


def _prose(text: object) -> str:
    return clipped(text.reason if isinstance(text, Absent) else text, PROSE_LIMIT)


def _plain(value: object) -> str:
    return clipped(plain(value), PROSE_LIMIT)


def _sortable(value: object) -> str:
    """A key that the script can sort by as a number; nothing measured has none."""
    if isinstance(value, Estimate):
        value = value.estimate
    if isinstance(value, (int, float)) and math.isfinite(value):
        return repr(value)
    return ""


def _alternatives(replay: Replay | Absent) -> tuple[ArithmeticMatch, ...]:
    """The arithmetics beside the one that was chosen, which may be among those tried."""
    if isinstance(replay, Absent):
        return ()
    return tuple(a for a in replay.alternatives if a.arithmetic != replay.arithmetic)


def _levels(report: Report) -> tuple[str, ...]:
    known = [p.weight for p in report.verdict.parents if isinstance(p.weight, Estimate)]
    return tuple(sorted({level_text(e) for e in known}))


def _rivals(report: Report, *, alive: bool) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Reasons with the relations that they speak of, in the report's order."""
    by_reason: dict[str, list[str]] = {}
    for rival in report.verdict.rivals:
        if isinstance(rival.why_excluded, Absent) == alive:
            by_reason.setdefault(_prose(rival.why_excluded), []).append(relation_words(rival.relation))
    return tuple((reason, tuple(relations)) for reason, relations in by_reason.items())


def _loosest(strata: Sequence[Stratum] | Absent) -> Stratum | Absent:
    if isinstance(strata, Absent) or not strata:
        return Absent("no part was bounded")
    return max(strata, key=lambda s: s.upper)


def _rows(report: Report) -> tuple[_Row, ...]:
    found = () if isinstance(report.least_squares, Absent) else report.least_squares
    by_tensor = {read.tensor: read for read in found}
    return tuple(_Row(t, column_of(t), by_tensor.get(t.name)) for t in report.tensors[:TABLE_LIMIT])


def _biased(found: Sequence[LeastSquares] | Absent) -> _Biased | Absent:
    if isinstance(found, Absent):
        return found
    weights = [read.weight for read in found if math.isfinite(read.weight)]
    if not weights:
        return Absent("no tensor was read by least squares")
    return _Biased(min(weights), median(weights), max(weights), len(weights))


def _settings(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Free settings as name and text, sorted, for their order says nothing."""
    return tuple(
        (_name(key.replace("_", " ")), clipped(_setting(values[key]), PROSE_LIMIT))
        for key in sorted(values)
    )


def _setting(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)) and not value:
        return "none"
    nested = isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list, tuple)) for v in value)
    if nested or isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=plain)
    return plain(value)


def _digest_rows(digests: Mapping[str, str | Absent] | Absent) -> tuple[tuple[str, str], ...]:
    if isinstance(digests, Absent):
        return (("–", _prose(digests)),)
    return tuple((_name(file), _plain(digests[file])) for file in sorted(digests))
