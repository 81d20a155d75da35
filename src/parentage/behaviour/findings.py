"""What an interview shows, in sentences that say no more than the answers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parentage.behaviour.names.aliases import known_names, mentions, normalised
from parentage.behaviour.rates import ALL
from parentage.records.absence import Absent
from parentage.records.interview import Comparison, Group, HiddenPrompt, Interview, Subject

__all__ = ["LIMITS", "findings_of", "is_incomplete"]

LEVEL = 0.05
# A name in fewer answers than this is told in the table and not in a sentence.
LEAST_SHARE = 0.05

LIMITS = (
    "What a model says of itself is weak evidence: about a quarter of models name another maker at times, "
    "because they were trained on texts that such models wrote. It accuses or confirms; weights prove.",
    "Intervals and tests take answers as independent; answers to one question are alike, so true errors "
    "are larger than stated.",
    "Answers are read by rules for names in a list; a name that is not listed is not counted, and a form "
    "of words that the rules do not know is missed or misread.",
)


def findings_of(subjects: Sequence[Subject], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Sentences, the hidden prompt first."""
    suspect = subjects[0]
    return (
        *_template(suspect),
        *(line for group in suspect.groups if group.language == ALL for line in _condition(group)),
        *(_differs(c) for c in comparisons if c.p_holm <= LEVEL),
    )


def _template(subject: Subject) -> Iterator[str]:
    hidden = subject.hidden
    if isinstance(hidden, Absent):
        yield f"The chat template was not read: {hidden.reason}."
        return
    if not hidden.texts:
        yield "The chat template adds no words of its own to a question without a system message."
        return
    named = _named(hidden)
    if named:
        yield f"The chat template itself puts {', '.join(named)} into a prompt that has no system message."
    else:
        yield "The chat template adds words of its own to a prompt without a system message, and no name."
    if hidden.left_over:
        yield "Not all of those words could be taken out of the template: stripped is not free of them."


def _named(hidden: HiddenPrompt) -> list[str]:
    found = (m.name.id for t in hidden.texts for m in mentions(normalised(t.text)))
    return [known_names()[n].shown for n in dict.fromkeys(found)]


def _condition(group: Group) -> Iterator[str]:
    if not group.answers:
        yield f"Asked {_WORDS[group.condition]}, it gave no answers."
        return
    told = [r for r in group.names if r.share.estimate >= LEAST_SHARE]
    if not told:
        how = _WORDS[group.condition]
        yield f"Asked {how}, it claims no listed name in as much as 5 % of {group.answers} answers."
        return
    listed = ", ".join(f"{r.shown} {_percent(r.share.estimate)}" for r in told[:6])
    yield f"Asked {_WORDS[group.condition]}, it claims in {group.answers} answers: {listed}."


_WORDS = {
    "shipped": "with its template as shipped",
    "empty-system": "with a system message of no words",
    "stripped": "with the template's own words taken out",
    "raw": "with turn markers alone",
}


def _differs(c: Comparison) -> str:
    return (
        f"{c.shown} is claimed in {c.first_claims} of {c.first_answers} answers ({c.first}) and in "
        f"{c.second_claims} of {c.second_answers} ({c.second}): p = {c.p_holm:.2g} after Holm."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def is_incomplete(found: Interview) -> bool:
    """Whether an answer that was planned did not come."""
    return any(g.missing for s in found.subjects for g in s.groups if g.language == ALL)
