"""Claims of training: that there was some, of which kind, or none; its settings against the quiet rows.

Weights show a change and its size, not the algorithm that made it. A claim of training is contradicted only
where nothing can have been trained since the merge or copy, and the card does not speak of training before.
"""

from __future__ import annotations

import re
from typing import Final

from parentage.records.absence import Absent
from parentage.records.card import Claim
from parentage.records.report import QuietRows
from parentage.verdicts.cards.descent import OPEN
from parentage.verdicts.cards.facts import Facts, Ruling

__all__ = ["weigh_denied_training", "weigh_setting", "weigh_training"]

_AFTER: Final = re.compile(
    r"(?i)followed by|\bthen\b|\bafter (?:the )?merg|afterwards|seguid[oa]|después|depois|suivie?|\bpuis\b"
    r"|gefolgt|anschließend|danach|随后|之后"
)
_COPIES: Final = frozenset({"copy", "cast-copy", "quantized-copy"})
_ROWS: Final = ("quiet_rows",)
# Neighbouring schedules, up to two steps apart, can leave the same bits (docs/numerics.md).
_STEPS: Final = 2


def weigh_training(claim: Claim, facts: Facts) -> Ruling:
    """Training of a kind, or ``none``."""
    if not facts.relation:
        return Ruling("undetermined", OPEN, ("verdict",))
    if claim.value == "none":
        return _none(facts)
    unchanged = facts.later == "not-detected" and (facts.is_merge or facts.relation in _COPIES)
    if unchanged:
        return _unchanged(claim, facts)
    changed = facts.relation in ("fine-tune", "adapter-fine-tune") or facts.later == "detected"
    told, evidence = _since_upload(facts)
    if changed and claim.value == "post-trained":
        return Ruling("supported", f"{facts.audit.verdict.sentence}{told}", evidence)
    if changed:
        return Ruling(
            "undetermined",
            f"the weights were changed; by which kind of training is not to be read from them.{told}",
            evidence,
        )
    return Ruling("undetermined", "no later change was established or excluded", ("post_training",))


def _since_upload(facts: Facts) -> tuple[str, tuple[str, ...]]:
    """What an earlier upload that was compared adds, and the evidence by id."""
    previous = facts.audit.previous
    if isinstance(previous, Absent):
        return "", ("verdict", "post_training")
    return f" {previous.sentence}", ("verdict", "post_training", "previous")


def _none(facts: Facts) -> Ruling:
    if facts.is_merge and facts.later == "detected":
        return Ruling("contradicted", facts.audit.verdict.sentence, ("post_training",))
    if facts.is_merge and facts.later == "not-detected":
        return Ruling("supported", facts.audit.verdict.sentence, ("post_training", "replay"))
    return Ruling("undetermined", "no later change was established or excluded", ("post_training",))


def _unchanged(claim: Claim, facts: Facts) -> Ruling:
    sentence = facts.audit.verdict.sentence
    parents = facts.verdict_parents()
    if facts.relation in _COPIES and not all(facts.first_came(p) for p in parents):
        return Ruling(
            "undetermined", f"{sentence} Which of the two was first is not in the weights", ("verdict",)
        )
    merge_told = "merge" in facts.reading.values("relation") or facts.reading.values("merge-parent")
    if merge_told and not _AFTER.search(claim.words):
        return Ruling(
            "undetermined",
            "nothing was trained after the merge; what was trained before it, this does not tell",
            ("post_training", "replay"),
        )
    seen = facts.audit.post_training.would_have_seen
    seen_text = "" if isinstance(seen, Absent) else f" What would have been seen: {seen}."
    return Ruling(
        "contradicted",
        f"{sentence} Nothing was trained after that.{seen_text}"
        + ("" if facts.relation in _COPIES else " Training of a parent before the merge is not excluded"),
        ("verdict", "post_training", "replay"),
    )


def weigh_denied_training(claim: Claim, facts: Facts) -> Ruling:
    """The card says that a kind of training was not used."""
    if facts.later == "not-detected" and facts.is_merge:
        return Ruling("supported", "no later change was detected", ("post_training",))
    return Ruling("not-checkable", f"weights do not show whether a change was {claim.value}")


def weigh_setting(claim: Claim, facts: Facts) -> Ruling:
    """A hyper-parameter against embedding rows that weight decay alone moved."""
    rows = facts.quiet_rows()
    name, _, text = claim.value.partition("=")
    if name in ("seed", "batch-size", "epochs", "lora-rank", "lora-alpha"):
        return Ruling("not-checkable", f"nothing that was measured shows {name.replace('-', ' ')}")
    if rows is None:
        return Ruling("untested", "no embedding rows were found that weight decay alone moved")
    if name in ("learning-rate", "weight-decay"):
        return _product(name, float(text), rows, facts)
    if name == "optimizer":
        same = text == "adamw"
        return Ruling(
            "supported" if same else "undetermined",
            f"{rows.exact_rows:,} rows moved as AdamW's decoupled decay moves them, in every bit",
            _ROWS,
        )
    return _schedule(name, text, rows)


def _product(name: str, value: float, rows: QuietRows, facts: Facts) -> Ruling:
    """Rows show the product of rate and decay, never either alone."""
    rate, decay = rows.learning_rate, rows.weight_decay
    if isinstance(rate, Absent) or isinstance(decay, Absent):
        return Ruling("untested", "no schedule was found that moves the rows so", _ROWS)
    product = rate * decay
    shown = f"{rows.exact_rows:,} rows moved as a rate times decay of {product:g} moves them, in every bit"
    rates, decays = _numbers(facts, "learning-rate"), _numbers(facts, "weight-decay")
    if name == "weight-decay" and value == 0:
        return Ruling("contradicted", f"{shown}; without decay they would be as they were", _ROWS)
    if not rates or not decays or decays == {0.0}:
        agrees = f"; {rate:g} with a decay of {decay:g} is one reading of it"
        return Ruling("undetermined", f"{shown}{agrees}", _ROWS)
    other = decays if name == "learning-rate" else rates
    if any(abs(value * o - product) <= 1e-3 * product for o in other):
        return Ruling("supported", f"{shown}, as the card's two numbers say together", _ROWS)
    return Ruling(
        "contradicted", f"{shown}; the card's rate and decay say another, so one is not so", _ROWS
    )


def _numbers(facts: Facts, name: str) -> set[float]:
    found = (v.partition("=") for v in facts.reading.values("hyper-parameter"))
    return {float(text) for key, _, text in found if key == name}


def _schedule(name: str, text: str, rows: QuietRows) -> Ruling:
    told = "" if isinstance(rows.schedule, Absent) else rows.schedule
    shown = f"the rows moved as by {told or 'a schedule that is not told'}"
    if name == "schedule":
        kind = re.search(r"\b(linear|cosine|constant)\b", told)
        if kind is None:
            return Ruling("undetermined", shown, _ROWS)
        return Ruling("supported" if text.startswith(kind[1]) else "contradicted", shown, _ROWS)
    pattern = {"warmup-steps": r"warm-up ([\d,]+)", "steps": r"([\d,]+)(?:-step| steps)"}.get(name)
    numbers = [int(n.replace(",", "")) for n in re.findall(pattern, told)] if pattern else []
    if not numbers:
        return Ruling("undetermined", shown, _ROWS)
    fits = any(abs(float(text) - n) <= _STEPS for n in numbers)
    return Ruling("supported" if fits else "contradicted", shown, _ROWS)
