"""What the claims are weighed against: one audit, what the files declare, the parents' own cards, dates.

A model is known by its name, its file or folder and its repository; who audited files called otherwise says
which is which (``called``). A claim about a model that is none of them is untested, not false.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from parentage.cards.claims.licences import same_licence
from parentage.cards.claims.sentences import short_name
from parentage.records.absence import Absent
from parentage.records.card import CardReading, Score
from parentage.records.card_report import NO_REPORT
from parentage.records.card_sources import NO_DATE
from parentage.records.interview import Interview
from parentage.records.relations import MERGES
from parentage.records.report import QuietRows, Report
from parentage.records.weight_history import NO_WEIGHTS, WeightHistory
from parentage.verdicts.beside.claims import contradicts
from parentage.verdicts.beside.disclosure import UNRELATED_BY_DESCENT, names_of_path

__all__ = ["NO_DATE", "Facts", "ParentCard", "Ruling"]

# Their direction shows in the weights: what is made is rounded, and rounding is many-to-one.
DIRECTED: Final = MERGES | {"quantized-copy", "cast-copy"}


NO_INTERVIEW: Final = Absent("no interview was given")


@dataclass(frozen=True, slots=True)
class Ruling:
    """The status of a claim, the reason, and the evidence by id."""

    status: str
    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParentCard:
    """What the card of another model says: its licence and scores; ``published``: a date, ISO 8601.

    ``licences``: identifiers of the licence files beside it, by their names.
    """

    name: str
    reading: CardReading | Absent
    published: str | Absent
    licences: Mapping[str, str] = field(default_factory=dict)

    def terms(self) -> tuple[str, ...]:
        """Licences that the card or a file beside it names, each once."""
        said = () if isinstance(self.reading, Absent) else self.reading.values("licence")
        more = (t for t in self.licences.values() if not any(same_licence(s, t) for s in said))
        return tuple(dict.fromkeys((*said, *more)))


@dataclass(frozen=True, slots=True)
class Facts:
    """All that claims may be weighed against."""

    reading: CardReading
    card_text: str = ""
    report: Report | Absent = NO_REPORT
    declared: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[ParentCard, ...] = ()
    scores: tuple[Score, ...] = ()
    published: str | Absent = NO_DATE
    called: Mapping[str, str] = field(default_factory=dict)
    interview: Interview | Absent = NO_INTERVIEW
    weights: WeightHistory | Absent = NO_WEIGHTS
    licences: Mapping[str, str] = field(default_factory=dict)

    @property
    def audit(self) -> Report:
        """The report, where there is one."""
        assert isinstance(self.report, Report)
        return self.report

    @property
    def relation(self) -> str:
        """The supported relation; "" where none is."""
        found = self.report
        return (
            ""
            if isinstance(found, Absent) or found.verdict.status != "supported"
            else found.verdict.relation
        )

    @property
    def descends(self) -> bool:
        """Whether the evidence supports that the model has weights from the verdict's parents."""
        return bool(self.relation) and self.relation not in UNRELATED_BY_DESCENT

    @property
    def is_merge(self) -> bool:
        """Whether it supports a merge of several models."""
        several = self.relation == "passthrough-merge" and len(self.audit.verdict.parents) > 1
        return self.relation in MERGES or several

    @property
    def later(self) -> str:
        """Status of later change, "" without a report."""
        return "" if isinstance(self.report, Absent) else self.report.post_training.status

    def excludes(self, relations: frozenset[str]) -> bool:
        """Whether the supported relation excludes every one of these."""
        return bool(self.relation) and all(contradicts(self.relation, self.later, r) for r in relations)

    def inputs(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Models of the audit with the names that each may go by."""
        if isinstance(self.report, Absent):
            return
        listed = [(m.name, m.locator) for m in self.report.parents]
        known = {name for name, _ in listed}
        listed += [(p.name, p.name) for p in self.report.verdict.parents if p.name not in known]
        for name, locator in listed:
            names = {n for place in (name, locator) for n in names_of_path(place)}
            if name in self.called:
                names.add(short_name(self.called[name]))
            yield name, frozenset(names)

    def input_of(self, claimed: str) -> str | None:
        """The model of the audit that a claim names, None where none is called so."""
        wanted = short_name(claimed)
        return next((name for name, names in self.inputs() if wanted in names), None)

    def shown(self, name: str) -> str:
        """How a model of the audit is told: by the name that it was said to have."""
        return self.called.get(name, name)

    def verdict_parents(self) -> tuple[str, ...]:
        """Names of the supported verdict's parents."""
        return tuple(p.name for p in self.audit.verdict.parents) if self.descends else ()

    def quiet_rows(self) -> QuietRows | None:
        """Rows that replay exactly, with their schedule."""
        if isinstance(self.report, Absent) or isinstance(self.report.quiet_rows, Absent):
            return None
        exact = (
            q
            for q in self.report.quiet_rows
            if q.exact_rows > 0 and not isinstance(q.steps, Absent) and isinstance(q.learning_rate, float)
        )
        return max(exact, key=lambda q: q.exact_rows, default=None)

    def parent_card(self, claimed: str) -> ParentCard | None:
        """The card that was given of the model that a claim, or the audit, names."""
        wanted = {short_name(claimed)}
        name = self.input_of(claimed)
        if name is not None:
            wanted |= {short_name(name), short_name(self.shown(name))}
        return next((p for p in self.parents if short_name(p.name) in wanted), None)

    def first_came(self, parent: str) -> bool | None:
        """Whether the parent is the older of the two; None where nothing tells.

        The weights tell for merges and copies in fewer bits; decay, which never grows a row back, tells for
        the parent whose rows it moved; else the dates do, or the card itself, which names it as its base.
        """
        rows = self.quiet_rows()
        if self.relation in DIRECTED or (rows is not None and rows.parent == parent):
            return True
        card = self.parent_card(parent)
        if card is not None and isinstance(card.published, str) and isinstance(self.published, str):
            return card.published < self.published
        named = {self.input_of(v) for k in ("base-model", "merge-parent") for v in self.reading.values(k)}
        return True if parent in named else None
