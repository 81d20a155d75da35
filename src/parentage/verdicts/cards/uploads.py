"""What the card says of its uploads, against the bytes of the weight files by revision and an audit's
earlier upload; and when the card's claims changed while the weights did not.

A history is what its repository keeps: it can be written anew, and a repository made anew shows none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from parentage.records.absence import Absent
from parentage.records.card import Claim
from parentage.records.card_report import CardFinding
from parentage.records.findings import PreviousUpload
from parentage.records.weight_history import Moment, WeightHistory, WeightVersion
from parentage.verdicts.cards.facts import Facts, Ruling
from parentage.verdicts.sentences import listing

__all__ = ["upload_findings", "weigh_upload"]

BY_HISTORY: Final = ("weights",)
BY_AUDIT: Final = ("previous",)
REPLACED: Final = "upload replaced"
# What of a card is about its weights; a licence may change without them.
_OF_WEIGHTS: Final = ("base-model", "relation", "from-scratch", "training", "denied", "merge-", "upload")
MOST_TOLD: Final = 6


def weigh_upload(claim: Claim, facts: Facts) -> Ruling:
    """The card says that its weight files were replaced, or that an earlier upload was the wrong one."""
    history, previous = facts.weights, _previous(facts)
    if isinstance(history, WeightHistory) and history.replaced:
        return Ruling("supported", _changed(history.replaced), BY_HISTORY)
    if isinstance(history, WeightHistory) and _excluded(history):
        return Ruling(
            "contradicted",
            f"{_unchanged(history)}; the words came later. A repository made anew would keep no earlier "
            "upload, yet the weights before those words would then be the new ones",
            BY_HISTORY,
        )
    if previous is not None:
        status = "supported" if previous.relation == "changed" else "undetermined"
        open_ = "" if status == "supported" else " Whether the card speaks of that upload is not known."
        return Ruling(status, f"{previous.sentence}{open_}", BY_AUDIT)
    if isinstance(history, WeightHistory) and history.first is not None:
        return Ruling("undetermined", f"{_unchanged(history)}, as far as the history goes", BY_HISTORY)
    return Ruling("untested", "no earlier upload was compared (--previous of an audit, --history)")


def _previous(facts: Facts) -> PreviousUpload | None:
    found = None if isinstance(facts.report, Absent) else facts.report.previous
    return found if isinstance(found, PreviousUpload) else None


def _excluded(history: WeightHistory) -> bool:
    """The words came after the weights had been there for a revision, and no weight file ever changed."""
    if not history.whole or len(history.versions) != 1:
        return False
    with_weights = False
    for moment in history.moments:
        if with_weights and REPLACED in moment.claims_came:
            return True
        with_weights = with_weights or moment.weights == "first"
    return False


def _when(at: Moment | WeightVersion) -> str:
    return at.when[:10] or at.revision[:40]


def _changed(replaced: Sequence[WeightVersion]) -> str:
    told = [f"{_when(v)} ({len(v.altered):,} of {len(v.files):,})" for v in replaced[:MOST_TOLD]]
    more = len(replaced) - MOST_TOLD
    return f"weight files changed on {listing(told)}" + (f" and {more:,} more times" if more > 0 else "")


def _unchanged(history: WeightHistory) -> str:
    first = history.first
    assert first is not None
    return (
        f"in the {history.revisions:,} revisions that were looked at the weight files are those of "
        f"{_when(first)}, byte for byte (SHA-256)"
    )


def upload_findings(facts: Facts) -> Iterator[CardFinding]:
    """An earlier upload that was compared; claims that changed without the weights, and the reverse."""
    previous, history = _previous(facts), facts.weights
    if previous is not None:
        yield CardFinding("earlier-upload", "information", previous.sentence, BY_AUDIT)
    if isinstance(history, Absent):
        return
    since = False
    for moment in history.moments:
        if since and moment.weights == "same" and (words := _claims_changed(moment)):
            yield CardFinding(
                "claims-changed-alone",
                "information",
                f"On {_when(moment)} the card's claims changed ({words}) and its weight files did not.",
                BY_HISTORY,
            )
        if since and moment.weights == "changed" and not moment.card_changed:
            yield CardFinding(
                "weights-changed-alone",
                "low",
                f"On {_when(moment)} weight files changed and no sentence of the card did.",
                BY_HISTORY,
            )
        since = since or moment.weights == "first"


def _claims_changed(moment: Moment) -> str:
    came = [c for c in moment.claims_came if c.startswith(_OF_WEIGHTS)]
    went = [c for c in moment.claims_went if c.startswith(_OF_WEIGHTS)]
    parts = [
        f"{word}: {', '.join(some[:MOST_TOLD])}" for word, some in (("came", came), ("went", went)) if some
    ]
    return "; ".join(parts)
