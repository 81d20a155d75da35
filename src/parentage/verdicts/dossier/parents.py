"""Which name that a model gives itself is one of its parents'."""

from __future__ import annotations

from parentage.behaviour.names.aliases import mentions, normalised
from parentage.records.absence import Absent
from parentage.records.card_report import CardReport
from parentage.records.report import Report
from parentage.verdicts.beside.disclosure import UNRELATED_BY_DESCENT

__all__ = ["parents_by_identity", "shown_parent", "verdict_parents"]


def verdict_parents(report: Report | Absent) -> tuple[str, ...]:
    """Names of the models that the suspect has weights from, by a supported verdict."""
    if isinstance(report, Absent) or report.verdict.status != "supported":
        return ()
    if report.verdict.relation in UNRELATED_BY_DESCENT:
        return ()
    return tuple(p.name for p in report.verdict.parents)


def shown_parent(name: str, card: CardReport | Absent) -> str:
    """By the name that it was said to have (``--called``)."""
    called = {} if isinstance(card, Absent) else card.asked.get("called")
    told = called.get(name) if isinstance(called, dict) else None
    return told if isinstance(told, str) else name


def parents_by_identity(report: Report | Absent, card: CardReport | Absent) -> dict[str, tuple[str, ...]]:
    """Parents by the listed names (ids of the alias file) that their own names or places hold.

    A name that several parents go by points at each of them.
    """
    found: dict[str, tuple[str, ...]] = {}
    locators = {} if isinstance(report, Absent) else {m.name: m.locator for m in report.parents}
    for parent in verdict_parents(report):
        last = locators.get(parent, parent).rstrip("/").rpartition("/")[2]
        words = normalised(" ".join((parent, last, shown_parent(parent, card))).replace("_", " "))
        for name in dict.fromkeys(m.name.id for m in mentions(words)):
            found[name] = (*found.get(name, ()), parent)
    return found
