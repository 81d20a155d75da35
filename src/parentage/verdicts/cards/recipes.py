"""Claims of a merge's method and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from parentage.cards.claims.sentences import short_name
from parentage.records.absence import Absent
from parentage.records.card import Claim
from parentage.records.estimate import Estimate
from parentage.verdicts.cards.descent import OPEN
from parentage.verdicts.cards.facts import Facts, Ruling

__all__ = ["weigh_method", "weigh_weight"]

_RELATIONS: Final[Mapping[str, str]] = {
    "linear": "linear-merge",
    "slerp": "slerp-merge",
    "task_arithmetic": "task-arithmetic-merge",
    "ties": "ties-merge",
    "dare_ties": "dare-merge",
    "dare_linear": "dare-merge",
    "della": "della-merge",
    "della_linear": "della-merge",
    "breadcrumbs": "breadcrumbs-merge",
    "breadcrumbs_ties": "breadcrumbs-merge",
    "model_stock": "model-stock-merge",
    "sce": "sce-merge",
    "arcee_fusion": "arcee-fusion-merge",
    "nearswap": "nearswap-merge",
    "karcher": "spherical-merge",
    "nuslerp": "spherical-merge",
    "multislerp": "spherical-merge",
    "passthrough": "passthrough-merge",
}
# An interval at 95 % excludes one truth in twenty: four half-widths in place of two leave one in 10,000.
_WIDER: Final = 2.0


def weigh_method(claim: Claim, facts: Facts) -> Ruling:
    """The rule of the merge."""
    if not facts.relation:
        return Ruling("undetermined", OPEN, ("verdict",))
    meant = _RELATIONS.get(claim.value)
    if meant is None:
        return Ruling("undetermined", f"no rule called {claim.value} is known here", ("verdict",))
    if facts.relation == meant:
        return Ruling("supported", facts.audit.verdict.sentence, ("verdict", "replay"))
    if facts.excludes(frozenset({meant})):
        return Ruling("contradicted", facts.audit.verdict.sentence, ("verdict", "replay"))
    return Ruling(
        "undetermined",
        "the evidence supports another rule, and the two can give the same numbers: "
        + facts.audit.verdict.sentence,
        ("verdict", "replay"),
    )


def weigh_weight(claim: Claim, facts: Facts) -> Ruling:
    """A model's share. A recipe says it exactly, a sentence to the digits that it has."""
    name, _, text = claim.value.rpartition("=")
    known = facts.input_of(name)
    if known is None:
        return Ruling("untested", f"no model called {name} was compared with (--called names one)")
    if facts.relation != "linear-merge":
        return Ruling("undetermined", "shares are read of linear merges alone", ("verdict",))
    found = {p.name: p.weight for p in facts.audit.verdict.parents}.get(known)
    if found is None or isinstance(found, Absent):
        return Ruling("undetermined", f"no share of {name} was estimated", ("verdict.parents",))
    slack = 0.0 if claim.source == "recipe" else _half_digit(text)
    said = float(text)
    total = _total(facts)
    # Recipes may be normalised or not, and cards do not say which: either reading will do.
    readings = (said, said / total) if total and abs(total - 1) > 1e-6 else (said,)
    if any(found.low - slack <= r <= found.high + slack for r in readings):
        return Ruling("supported", _told(found, facts.shown(known)), ("verdict.parents",))
    if any(_near(r, found, slack) for r in readings):
        return Ruling("undetermined", _told(found, facts.shown(known)), ("verdict.parents",))
    return Ruling("contradicted", _told(found, facts.shown(known)), ("verdict.parents", "replay"))


def _near(value: float, found: Estimate, slack: float) -> bool:
    middle, half = (found.low + found.high) / 2, (found.high - found.low) / 2
    wider = half if found.level >= 1 else half * _WIDER
    # Decimal weights are stored in 32 or 16 bits before they multiply: .6 may act as .6015625.
    return abs(value - middle) <= wider + slack + 2.0**-8 * abs(value)


def _told(found: Estimate, name: str) -> str:
    how = "the only values that fit" if found.level >= 1 else f"the interval at {found.level:.0%}"
    return f"the weights say {found.estimate:.6g} of {name}; {how}: {found.low:.6g} to {found.high:.6g}"


def _half_digit(text: str) -> float:
    decimals = len(text.partition(".")[2]) if "e" not in text else 6
    return 0.5 * 10.0**-decimals


def _total(facts: Facts) -> float:
    """The sum of the claimed weights, each model once."""
    weights = {
        short_name(v.rpartition("=")[0]): float(v.rpartition("=")[2])
        for v in facts.reading.values("merge-weight")
    }
    return sum(weights.values())
