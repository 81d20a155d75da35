"""What a card could say by the evidence alone, for its author to take over or to correct."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from parentage.cards.model_card import shown_cell
from parentage.records.absence import Absent
from parentage.records.card_report import NO_REPORT, HonestCard
from parentage.records.report import Report
from parentage.verdicts.cards.facts import Facts
from parentage.verdicts.sentences import listing

__all__ = ["honest_card"]

_HUB: Final = {
    "fine-tune": "finetune",
    "abliteration": "finetune",
    "adapter-fine-tune": "finetune",
    "quantized-copy": "quantized",
}
_LATER: Final = {
    "detected": "Its weights were changed after that",
    "not-detected": "No training followed",
    "undetermined": "Whether anything was changed afterwards is not settled",
}


def honest_card(facts: Facts) -> HonestCard | Absent:
    """Metadata and a paragraph; Absent where the evidence supports no relation to any model."""
    if isinstance(facts.report, Absent):
        return NO_REPORT
    if not facts.descends:
        return Absent("the evidence supports no relation by which the model has weights from another")
    return HonestCard(_front(facts), " ".join(_paragraph(facts, facts.report)))


def _front(facts: Facts) -> str:
    names = [facts.shown(p) for p in facts.verdict_parents()]
    table: dict[str, Any] = {"base_model": names}
    relation = "merge" if facts.is_merge else _HUB.get(facts.relation)
    if relation:
        table["base_model_relation"] = relation
    if facts.is_merge:
        table["tags"] = ["merge"]
    return yaml.safe_dump(table, sort_keys=False, allow_unicode=True, width=100)


def _paragraph(facts: Facts, report: Report) -> Iterator[str]:
    shares = [_share(facts.shown(p.name), p.weight) for p in report.verdict.parents]
    if facts.is_merge:
        yield f"This model is a merge of {listing(shares)}."
    elif facts.relation == "quantized-copy":
        yield f"This model is a quantised copy of {listing(shares)}."
    elif facts.relation in ("copy", "cast-copy", "passthrough-merge"):
        yield f"The weights of this model are those of {listing(shares)}."
    else:
        yield f"This model has its weights from {listing(shares)}, changed by training or an edit."
    if facts.is_merge:
        yield f"{_LATER[facts.later]}, as far as its weights show."
    if any("/" not in facts.shown(p) for p in facts.verdict_parents()):
        yield "(In the metadata, replace file names by the repositories' names.)"
    elements = report.coverage.elements_examined
    yield (
        f"This was read from its weights by parentage {report.tool.get('version', '')} "
        f"({elements:,} of {report.coverage.elements:,} elements examined)."
    )


def _share(name: str, weight: object) -> str:
    estimate = getattr(weight, "estimate", None)
    return shown_cell(name) if estimate is None else f"{100 * estimate:.4g} % {shown_cell(name)}"
