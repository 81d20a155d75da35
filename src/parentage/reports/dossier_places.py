"""What stands at a place that a dossier's finding rests on, in a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from parentage.records.absence import Absent
from parentage.records.card_report import CardFinding, CardHistory, ScoreLine, WeighedClaim
from parentage.records.dossier import Dossier, at_place
from parentage.records.findings import PreviousUpload
from parentage.records.interview import Closer, Comparison, Group, HiddenPrompt, Line, SecondReading
from parentage.records.recital import Recital
from parentage.records.report import Direction, PostTraining, Replay, Verdict
from parentage.reports.wording import (
    count_text,
    estimate_text,
    interval_text,
    match_text,
    plain,
    relation_words,
    share_text,
    status_words,
)

__all__ = ["excerpt"]


def excerpt(dossier: Dossier, place: str) -> str:
    """The record there, told in a sentence or two; ``LookupError`` where there is none."""
    found = at_place(dossier, place)
    if isinstance(found, Absent):
        return found.reason
    told = _TOLD.get(type(found))
    if told is not None:
        return told(found)
    return f"{len(found):,} entries" if isinstance(found, tuple) else type(found).__name__


def _verdict(verdict: Verdict) -> str:
    shares = ", ".join(
        f"{p.name} {plain(p.weight)}"
        if isinstance(p.weight, Absent)
        else f"{p.name} {estimate_text(p.weight)} {interval_text(p.weight)}"
        for p in verdict.parents
    )
    told = f"{status_words(verdict.status)}: {relation_words(verdict.relation)}. {verdict.sentence}"
    return f"{told} Shares: {shares}." if shares else told


def _replay(replay: Replay) -> str:
    informative = count_text(replay.informative_elements)
    return (
        f"Replayed by {replay.method}, {replay.arithmetic}: {match_text(replay.match)} of {informative} "
        f"numbers where the parents differ, in every bit."
    )


def _after(after: PostTraining) -> str:
    return f"{status_words(after.status)}; share of numbers changed: {plain(after.changed_share)}."


def _direction(found: Direction) -> str:
    return (
        f"The suspect made from its parents: {plain(found.forward_match)}; a parent made from the "
        f"suspect: {plain(found.backward_match)}."
    )


def _group(group: Group) -> str:
    names = "; ".join(
        f"{r.shown} {r.claims:,} ({share_text(r.share.low)} to {share_text(r.share.high)})"
        for r in group.names[:8]
    )
    return (
        f"Condition {group.condition}, {group.answers:,} answers. Claims of a name: {names or 'none'}. "
        f"Ambiguous {group.ambiguous:,}, refusals {group.refusals:,}, empty {group.empty:,}."
    )


def _hidden(prompt: HiddenPrompt) -> str:
    texts = "; ".join(f"“{t.text}” ({t.when})" for t in prompt.texts[:8])
    return f"{prompt.place}, SHA-256 {prompt.sha256}. It adds {texts or 'nothing of its own'}."


def _comparison(c: Comparison) -> str:
    return (
        f"{c.shown}: {c.first_claims:,} of {c.first_answers:,} ({c.first}) against {c.second_claims:,} of "
        f"{c.second_answers:,} ({c.second}); Fisher's exact test, p {c.p_holm:.2g} after Holm."
    )


def _closer(c: Closer) -> str:
    return (
        f"Closer to {c.first} in {c.first_closer:,}, to {c.second} in {c.second_closer:,} of {c.prompts:,} "
        f"beginnings; sign test, p {c.p_holm:.2g} after Holm."
    )


def _recital(found: Recital) -> str:
    longest = ", ".join(f"{label} {words:,}" for label, words in found.longest.items())
    first = f" It says “{found.runs[0].said}”." if found.runs else ""
    return f"Longest run of words shared with {found.source}: {longest}.{first}"


def _second(found: SecondReading) -> str:
    other = len(found.disagreements)
    return f"{found.locator} read {found.read:,} answers, {other:,} otherwise than the rules."


def _along(found: Line) -> str:
    shown = ", ".join(f"{p.weight:.2f}: {p.divergence:.3g}" for p in found.points[::5])
    return f"Divergence by the weight of {found.first}: {shown}."


def _claim(weighed: WeighedClaim) -> str:
    c = weighed.claim
    where = f"line {c.line:,}, {c.source}"
    reason = weighed.reason.rstrip(".")
    return f"{c.kind} {c.value}: “{c.words}” ({where}); {weighed.status}: {reason}."


def _history(found: CardHistory) -> str:
    return f"{len(found.versions):,} versions of the card, {len(found.changes):,} changes."


_TOLD: Final[dict[type, Callable[[Any], str]]] = {
    Verdict: _verdict,
    Replay: _replay,
    PostTraining: _after,
    Direction: _direction,
    PreviousUpload: lambda p: str(p.sentence),
    Group: _group,
    HiddenPrompt: _hidden,
    Comparison: _comparison,
    Closer: _closer,
    Recital: _recital,
    SecondReading: _second,
    Line: _along,
    WeighedClaim: _claim,
    CardFinding: lambda f: f"{f.id} ({f.severity}): {f.sentence}",
    CardHistory: _history,
    ScoreLine: lambda line: str(line.sentence),
}
