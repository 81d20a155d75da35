"""What the model says, as findings: names that it gives itself, what its template says, what it recites.

A name that a parent goes by is no finding of its own where the weights show that parent: it is a second
support of the same fact. Otherwise it stands alone, weak as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from parentage.behaviour.names.aliases import known_names, mentions, normalised
from parentage.records.absence import Absent
from parentage.records.dossier import Confidence, Finding, KindAlone, Support
from parentage.records.interview import Comparison, Group, Interview, NameRate, SecondReading, Subject
from parentage.verdicts.cards.identity import ALL, OFTEN, SURE
from parentage.verdicts.dossier.next_tokens import next_token_findings
from parentage.verdicts.dossier.scale import IDENTITY, OBSERVED, OPEN

__all__ = ["Claimed", "behaviour_alone", "behaviour_findings", "claimed_names", "identity_support"]

# Fewer words are found in any model's answers (docs/interview.md shows runs of eight and more).
RECITED: Final = 16
WORDS: Final = {
    "shipped": "with its template as shipped",
    "empty-system": "with a system message of no words",
    "stripped": "with the template's own words taken out",
    "raw": "with turn markers alone",
}
OTHERS: Final = (
    "a quarter of models name another maker at times, for they were trained on texts by such models"
)
TAUGHT: Final = "it was trained on texts that this model wrote"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A name that the suspect often gives as its own when asked so; ``template``: its template says it."""

    name: str
    shown: str
    condition: str
    claims: int
    answers: int
    low: float
    high: float
    place: str
    template: bool

    @property
    def words(self) -> str:
        """Who says it, how often, how asked."""
        return (
            f"Asked {WORDS.get(self.condition, self.condition)}, it calls itself {self.shown} in "
            f"{self.claims:,} of {self.answers:,} answers ({self.low:.1%} to {self.high:.1%})"
        )


def claimed_names(interview: Interview | Absent) -> tuple[Claimed, ...]:
    """Names that it gives as its own in a quarter of its answers: the interval's lower end reaches that."""
    if isinstance(interview, Absent):
        return ()
    suspect = interview.subjects[0]
    said = frozenset(_template_names(suspect))
    return tuple(
        _claimed(group, rate, k, said)
        for k, group in enumerate(suspect.groups)
        if group.language == ALL
        for rate in group.names
        if rate.share.low >= OFTEN
    )


def _claimed(group: Group, rate: NameRate, number: int, said: frozenset[str]) -> Claimed:
    place = f"interview.subjects[0].groups[{number}]"
    share = rate.share
    # Words of the template are in the prompt as shipped alone: there the name may be only repeated.
    template = rate.name in said and group.condition == "shipped"
    return Claimed(
        rate.name,
        rate.shown,
        group.condition,
        rate.claims,
        group.answers,
        share.low,
        share.high,
        place,
        template,
    )


def _template_names(subject: Subject) -> Iterator[str]:
    if not isinstance(subject.hidden, Absent):
        for text in subject.hidden.texts:
            yield from (m.name.id for m in mentions(normalised(text.text)))


def identity_support(interview: Interview, names: Sequence[Claimed]) -> Support:
    """One support for all conditions in which a name is given, with the panel beside it."""
    listed = "; ".join(c.words for c in names)
    beside, places = _panel(interview, names)
    return Support("behaviour", f"{listed}. {beside}", (*(c.place for c in names), *places))


def _panel(interview: Interview, names: Sequence[Claimed]) -> tuple[str, tuple[str, ...]]:
    wanted = {(c.name, f", {c.condition}") for c in names}
    found = [
        (k, c)
        for k, c in enumerate(interview.comparisons)
        if c.kind == "panel" and any(c.name == n and c.first.endswith(end) for n, end in wanted)
    ]
    if not found:
        return "No panel was asked.", ()
    places = tuple(f"interview.comparisons[{k}]" for k, _ in found)
    if all(_more(c) for _, c in found):
        return "Nobody of the panel does so as often.", places
    return "Some of the panel do so too.", places


def _more(c: Comparison) -> bool:
    return c.first_claims * c.second_answers > c.second_claims * c.first_answers and c.p_holm < SURE


def behaviour_findings(
    interview: Interview | Absent, told_elsewhere: frozenset[str], in_card: Mapping[str, bool]
) -> Iterator[Finding]:
    """Findings of an interview.

    ``told_elsewhere``: names that support another finding; ``in_card``: whether the card mentions a name,
    empty without a card.
    """
    if isinstance(interview, Absent):
        return
    yield from _template(interview)
    names = claimed_names(interview)
    for name in dict.fromkeys(c.name for c in names):
        own = [c for c in names if c.name == name]
        if name not in told_elsewhere and not all(c.template for c in own):
            yield from _identity(interview, own, in_card)
    yield from _recital(interview)
    yield from next_token_findings(interview)
    yield from _read_again(interview.second_reading)


def _identity(interview: Interview, names: list[Claimed], in_card: Mapping[str, bool]) -> Iterator[Finding]:
    first = names[0]
    mentioned = in_card.get(first.name)
    if mentioned:
        return
    support = identity_support(interview, names)
    unlike = "Nobody of the panel" in support.says
    silent = "" if mentioned is None else " The card does not mention that name."
    severity = "information" if mentioned is None else "medium" if unlike else "low"
    yield Finding(
        f"calls-itself:{first.name}",
        "calls-itself",
        severity,
        f"The model often calls itself {first.shown}, which no other evidence here explains.{silent}",
        IDENTITY,
        f"that it calls itself {first.shown}",
        (support,),
        alternatives=(OTHERS, TAUGHT),
    )


def _template(interview: Interview) -> Iterator[Finding]:
    suspect = interview.subjects[0]
    hidden = suspect.hidden
    if isinstance(hidden, Absent) or not hidden.texts:
        return
    named = list(dict.fromkeys(_template_names(suspect)))
    shown = ", ".join(known_names()[n].shown for n in named)
    says = f"puts {shown} into" if named else "adds words of its own to"
    differing = [
        (k, c)
        for k, c in enumerate(interview.comparisons)
        if c.kind == "condition" and c.first == f"{suspect.label}, shipped" and c.p_holm < SURE
    ]
    told = "; ".join(
        f"{c.shown}: {c.first_claims} of {c.first_answers} as shipped, {c.second_claims} of "
        f"{c.second_answers} {c.second.rpartition(', ')[2]}"
        for _, c in differing[:6]
    )
    sentence = f"The chat template {says} a prompt that has no system message."
    places = ("interview.subjects[0].hidden", *(f"interview.comparisons[{k}]" for k, _ in differing[:6]))
    yield Finding(
        "template-speaks",
        "template-speaks",
        "medium" if named and differing else "information",
        sentence + (f" Without those words it calls itself otherwise ({told})." if differing else ""),
        OBSERVED,
        "what the chat template says by itself",
        (Support("behaviour", sentence, places),),
        alternatives=("a default system message is common, and may be named in the card",),
    )


def _recital(interview: Interview) -> Iterator[Finding]:
    recital = interview.recital
    if isinstance(recital, Absent):
        return
    own = recital.longest.get("suspect", 0)
    panel = max((n for label, n in recital.longest.items() if label != "suspect"), default=0)
    if own < RECITED or own < 2 * panel:
        return
    says = (
        f"Its answers share {own} words in a row with the text {recital.source}; those of the panel at "
        f"most {panel}."
    )
    yield Finding(
        "recites",
        "recites",
        "low",
        says,
        Confidence("not-graded", "How often models recite so by chance was not measured."),
        f"that it recites {recital.source}",
        (Support("behaviour", says, ("interview.recital",)),),
        alternatives=(TAUGHT, "the text was in its training data"),
    )


def _read_again(found: SecondReading | Absent) -> Iterator[Finding]:
    if isinstance(found, Absent):
        return
    rate = found.agreement
    says = (
        f"A second reader agrees in {100 * rate.estimate:.0f} % ({100 * rate.low:.0f} to "
        f"{100 * rate.high:.0f} %) of {found.read:,} answers; {found.unread:,} it did not read. It decides "
        f"nothing."
    )
    yield Finding(
        "second-reader",
        "second-reader",
        "information",
        says,
        OBSERVED,
        "how the answers are read",
        (Support("behaviour", says, ("interview.second_reading",)),),
    )


def behaviour_alone(interview: Interview | Absent) -> KindAlone:
    """What the interview would have concluded by itself."""
    if isinstance(interview, Absent):
        return KindAlone("behaviour", interview, interview)
    names = claimed_names(interview)
    if not names:
        return KindAlone(
            "behaviour", "It gives no listed name as its own in as many as a quarter of its answers.", OPEN
        )
    told = "; ".join(c.words for c in names[:4])
    return KindAlone("behaviour", f"{told}. By itself that accuses nobody: {OTHERS}.", IDENTITY)
