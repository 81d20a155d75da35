"""A dossier: audit, interview and card under one plan, weighed together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parentage.api.audits import audit, plan_audit
from parentage.api.cards import CardInputs, card_sources
from parentage.api.progress import Progress, silent
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.errors import CardError, UsageError
from parentage.records.absence import Absent
from parentage.records.card_sources import CardSources
from parentage.records.dossier import Dossier
from parentage.records.evidence import Evidence
from parentage.records.interview import Answers, Interview
from parentage.records.plan import AuditPlan

if TYPE_CHECKING:
    from parentage.behaviour.conduct import Spent
    from parentage.behaviour.interviews import InterviewOptions, InterviewPlan

__all__ = ["Asked", "DossierInputs", "DossierPlan", "DossierResult", "dossier", "plan_dossier"]

NOT_ASKED: Final = Absent("nobody was asked, and no kept answers were given")
NO_CARD: Final = Absent("no card was given")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, or whose kept answers are read: targets as of ``parentage interview``, or one saved
    interview (``.json``), of which the readings are taken as they are."""

    target: str
    panel: tuple[str, ...] = ()
    model: str | None = None
    template: str | None = None
    options: InterviewOptions | None = None

    @property
    def saved(self) -> bool:
        """Whether it is a saved interview."""
        return self.target.endswith(".json")


@dataclass(frozen=True, slots=True)
class DossierInputs:
    """What a dossier is made from. ``card`` None: the suspect's own, where it has one."""

    suspect: str
    parents: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    base: str | None = None
    previous: str | None = None
    root: str | None = None
    candidates: str | None = None
    sample: int | None = None
    full: bool = False
    seed: int = 0
    workers: int = 0
    asked: Asked | None = None
    card: CardInputs | None = None
    limits: RemoteLimits | None = None

    def audited(self) -> dict[str, Any]:
        """The arguments of an audit, and of its plan."""
        names = ("parents", "controls", "base", "previous", "root", "candidates", "sample", "full", "seed")
        return {n: getattr(self, n) for n in (*names, "workers", "limits")}


@dataclass(frozen=True, slots=True)
class DossierPlan:
    """What would be read and asked. ``card``: the place of the card."""

    audit: AuditPlan
    interview: InterviewPlan | Absent
    card: str


@dataclass(frozen=True, slots=True)
class DossierResult:
    """The dossier and what it was made from. ``answers``: by their labels, as they were kept."""

    dossier: Dossier
    evidence: Evidence
    answers: Mapping[str, Answers] = field(default_factory=dict)
    sources: CardSources | Absent = NO_CARD


def plan_dossier(given: DossierInputs) -> DossierPlan:
    """What :func:`dossier` would read and ask; headers and cards are all that is read for it.

    Raises ``ParentageError``.
    """
    planned: InterviewPlan | Absent = NOT_ASKED
    if given.asked is not None and given.asked.saved:
        planned = Absent(f"a saved interview is read: {given.asked.target}")
    elif given.asked is not None:
        from parentage.behaviour.interviews import InterviewOptions, plan_interview

        planned = plan_interview(_specs(given.asked), given.asked.options or InterviewOptions())
    place = given.suspect if given.card is None else given.card.model
    return DossierPlan(plan_audit(given.suspect, **given.audited()), planned, place)


def dossier(
    given: DossierInputs,
    *,
    progress: Progress = silent,
    heard: Callable[[str, Spent], None] | None = None,
    compile_first: bool = False,
) -> DossierResult:
    """Audit, interview and card, and one dossier of them (docs/dossier.md). Raises ``ParentageError``.

    The card and kept answers are read first: what is wrong with them is told before hours of measuring.
    """
    from parentage.cards.claims.vocabulary import load_vocabulary
    from parentage.verdicts.cards.from_sources import card_report
    from parentage.verdicts.dossier.compose import compose

    with ExitStack() as stack:
        sources = _sources(given, SharedSession(stack, given.limits))
    interview, answers = _interviewed(given.asked, heard)
    found = audit(given.suspect, **given.audited(), compile_first=compile_first, progress=progress)
    card = sources
    weighed: Any = sources
    if not isinstance(card, Absent):
        declared = tuple(dict.fromkeys((*card.declared, *found.evidence.models[0].declared)))
        card = replace(card, declared=declared)
        inputs = given.card or CardInputs(given.suspect)
        weighed = card_report(card, found.report, interview, inputs.asked(), load_vocabulary(inputs.words))
    made = compose(given.suspect, found.report, interview, weighed, _told(given))
    return DossierResult(made, found.evidence, answers, card)


def _told(given: DossierInputs) -> dict[str, Any]:
    """What was asked for, as the dossier keeps it; never a key."""
    asked = given.asked
    return {
        "suspect": given.suspect,
        "parents": list(given.parents),
        "controls": list(given.controls),
        "base": given.base,
        "previous": given.previous,
        "candidates": given.candidates,
        "sample": given.sample,
        "full": given.full,
        "seed": given.seed,
        "interview": None if asked is None else asked.target,
        "panel": [] if asked is None else list(asked.panel),
        "card": None if given.card is None else given.card.asked(),
    }


def _sources(given: DossierInputs, shared: SharedSession) -> CardSources | Absent:
    if given.card is not None:
        return card_sources(given.card, (), shared)
    try:
        return card_sources(CardInputs(given.suspect), (), shared)
    except CardError as error:
        if error.code != "card-absent":
            raise
        return Absent("the suspect has no card beside it, and none was given")


def _interviewed(
    asked: Asked | None, heard: Callable[[str, Spent], None] | None
) -> tuple[Interview | Absent, dict[str, Answers]]:
    if asked is None:
        return NOT_ASKED, {}
    if asked.saved:
        from parentage.api.interviews import load_interview

        if asked.panel:
            raise UsageError(
                "a saved interview has its panel in it",
                code="dossier-panel",
                where=asked.target,
                hint="leave --panel out, or name the files of answers (.jsonl)",
            )
        return load_interview(Path(asked.target)), {}
    from parentage.behaviour.interviews import InterviewOptions, hold_interview, kept_answers

    options, specs = asked.options or InterviewOptions(), _specs(asked)
    found = hold_interview(specs, options, heard or (lambda label, spent: None))
    return found, kept_answers(specs, options)


def _specs(asked: Asked) -> Sequence[Any]:
    from parentage.behaviour.opening import spec_of

    first = spec_of(asked.target, model=asked.model, template=asked.template)
    return [first, *map(spec_of, asked.panel)]
