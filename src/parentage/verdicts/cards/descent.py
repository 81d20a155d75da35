"""Claims of descent: base models, relation, merged models, "not a merge", "from scratch"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from parentage.records.card import Claim
from parentage.records.relations import MERGES
from parentage.verdicts.cards.facts import Facts, Ruling
from parentage.verdicts.sentences import listing

__all__ = ["weigh_denied_merge", "weigh_origin", "weigh_relation", "weigh_scratch"]

# The hub's words, in relations of ours; "finetune" there is any change of a model's weights.
_MEANT: Final[Mapping[str, frozenset[str]]] = {
    "merge": MERGES | {"passthrough-merge"},
    "finetune": frozenset({"fine-tune", "adapter-fine-tune", "abliteration"}),
    "quantized": frozenset({"quantized-copy"}),
    "adapter": frozenset({"adapter-fine-tune"}),
}
OPEN: Final = "the evidence does not settle what the model is made of"
VERDICT: Final = ("verdict",)


def weigh_origin(claim: Claim, facts: Facts) -> Ruling:
    """A base model or a merged one."""
    name = facts.input_of(claim.value)
    if name is None:
        return Ruling(
            "untested",
            f"no model called {claim.value} was compared with; if an input of the audit is it, say so "
            "(--called)",
        )
    if not facts.relation:
        return Ruling("undetermined", OPEN, VERDICT)
    if name in facts.verdict_parents():
        return Ruling("supported", facts.audit.verdict.sentence, VERDICT)
    if facts.relation == "independent" and name in {p.name for p in facts.audit.verdict.parents}:
        return Ruling("contradicted", facts.audit.verdict.sentence, VERDICT)
    return Ruling(
        "undetermined",
        f"the weights are explained without {claim.value}; it may still be an ancestor of those that "
        "explain them",
        VERDICT,
    )


def weigh_relation(claim: Claim, facts: Facts) -> Ruling:
    """merge, finetune, quantized or adapter."""
    if not facts.relation:
        return Ruling("undetermined", OPEN, VERDICT)
    meant = _MEANT.get(claim.value, frozenset())
    if facts.relation in meant:
        return Ruling("supported", facts.audit.verdict.sentence, VERDICT)
    if claim.value == "finetune" and facts.is_merge and facts.later == "not-detected":
        return Ruling(
            "contradicted",
            f"{facts.audit.verdict.sentence} A fine-tune would not replay so; training of a parent before "
            "the merge is not excluded",
            (*VERDICT, "replay", "post_training"),
        )
    if meant and facts.excludes(meant):
        return Ruling("contradicted", facts.audit.verdict.sentence, VERDICT)
    return Ruling(
        "undetermined",
        f"the evidence supports another relation, which does not exclude this one: "
        f"{facts.audit.verdict.sentence}",
        VERDICT,
    )


def weigh_denied_merge(facts: Facts) -> Ruling:
    """The card says that it is no merge."""
    if facts.is_merge:
        return Ruling("contradicted", facts.audit.verdict.sentence, (*VERDICT, "replay"))
    if facts.relation and facts.excludes(MERGES):
        return Ruling("supported", facts.audit.verdict.sentence, VERDICT)
    return Ruling(
        "undetermined",
        "no merge of the models that were compared was found; a merge of others looks the same",
        VERDICT,
    )


def weigh_scratch(claim: Claim, facts: Facts) -> Ruling:
    """Trained from scratch, or the card says that it was not."""
    parents = facts.verdict_parents()
    if not parents:
        return Ruling(
            "undetermined",
            "no weights shared with the models that were compared were found; others were not compared"
            if facts.relation == "independent"
            else OPEN,
            VERDICT,
        )
    older = [p for p in parents if facts.first_came(p)]
    if claim.value == "no":
        return Ruling("supported" if older else "undetermined", facts.audit.verdict.sentence, VERDICT)
    if older:
        return Ruling("contradicted", facts.audit.verdict.sentence, (*VERDICT, "direction"))
    names = listing([facts.shown(p) for p in parents])
    later = [p for p in parents if facts.first_came(p) is False]
    return Ruling(
        "undetermined",
        f"it shares its weights with {names}, which {'came' if later else 'may have come'} after it: "
        + (
            "the dates say so"
            if later
            else "which of the two was first is not in the weights (dates: --parent-card, --published)"
        ),
        VERDICT,
    )
