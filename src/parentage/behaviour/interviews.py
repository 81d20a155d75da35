"""An interview of a suspect and its panel, from what was asked for to what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from parentage import __version__
from parentage.behaviour.answers_file import Journal, load_answers
from parentage.behaviour.conduct import Conduct, Spent, conduct
from parentage.behaviour.distributions import closer_of, distances_of
from parentage.behaviour.endpoints.client import Limits
from parentage.behaviour.findings import LIMITS, findings_of
from parentage.behaviour.line.looking import look_along
from parentage.behaviour.opening import SAVED, Spec, open_target, template_of
from parentage.behaviour.plan import CONDITIONS, DEFAULT_SAMPLES, asking_of
from parentage.behaviour.questions.reading import Question, our_questions, read_questions
from parentage.behaviour.rates import compare, subject_of
from parentage.behaviour.recital import passages_of, read_source, recital_of
from parentage.behaviour.second_reader import second_reading
from parentage.errors import UsageError
from parentage.records.absence import Absent
from parentage.records.interview import NOT_ASKED, Answers, Asking, Interview, Line, SecondReading

__all__ = [
    "InterviewOptions",
    "InterviewPlan",
    "chosen_questions",
    "hold_interview",
    "kept_answers",
    "plan_interview",
    "read_interview",
]

Heard = Callable[[str, Spent], None]


@dataclass(frozen=True, slots=True)
class InterviewOptions:
    """How to ask. ``out``: the folder that keeps every answer; ``key``: held in memory only."""

    out: Path | None = None
    samples: int = DEFAULT_SAMPLES
    seed: int = 0
    temperature: float = 1.0
    max_tokens: int = 160
    conditions: tuple[str, ...] = CONDITIONS
    languages: tuple[str, ...] = ()
    questions: tuple[Path, ...] = ()
    only_own_questions: bool = False
    recital: Path | None = None
    second_reader: Spec | None = None
    line: tuple[str, str] | None = None
    line_served: tuple[str, str] | None = None
    key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)


def chosen_questions(options: InterviewOptions) -> tuple[Question, ...]:
    """Ours and the user's, in the languages asked for; raises ``UsageError``."""
    own = tuple(q for path in options.questions for q in read_questions(path))
    found = own if options.only_own_questions else (*our_questions(), *own)
    if len({q.id for q in found}) != len(found):
        raise UsageError(
            "a question file has an id of ours", code="questions-malformed", hint="give it another id"
        )
    kept = tuple(q for q in found if not options.languages or q.language in options.languages)
    if not kept:
        raise UsageError(
            "no question is left to ask",
            code="questions-none",
            hint="languages: " + ", ".join(sorted({q.language for q in found})),
        )
    return kept


def _asking(options: InterviewOptions) -> Asking:
    """The settings as a record; raises ``UsageError``."""
    return asking_of(
        chosen_questions(options),
        options.conditions,
        samples=options.samples,
        seed=options.seed,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
    )


@dataclass(frozen=True, slots=True)
class InterviewPlan:
    """What an interview asks at most; tokens in are estimated, tokens out bounded by what is asked for."""

    targets: int
    requests: int
    tokens_in: int
    tokens_out: int


# A template's words and markers, in tokens, beside a question's own.
FRAME_TOKENS = 60
# Of scripts that take about a token a sign; Latin ones take a quarter.
CHARACTERS_A_TOKEN = 2


def plan_interview(targets: Sequence[Spec], options: InterviewOptions) -> InterviewPlan:
    """What would be asked; reads nothing of a model and sends nothing."""
    asked = [s for s in targets if s.kind != SAVED]
    questions = chosen_questions(options)
    each = sum(len(t) for q in questions for t in q.turns) / len(questions) / CHARACTERS_A_TOKEN
    requests = len(asked) * len(options.conditions) * options.samples
    tokens_in = round(requests * (each + FRAME_TOKENS))
    return InterviewPlan(len(asked), requests, tokens_in, requests * options.max_tokens)


def hold_interview(
    targets: Sequence[Spec], options: InterviewOptions, heard: Heard = lambda label, spent: None
) -> Interview:
    """Ask the suspect, which is the first, then each of the panel; read, count and compare.

    Raises ``ParentageError``.
    """
    _check_served(options, len(targets))
    source = None if options.recital is None else read_source(options.recital)
    passages = () if source is None else passages_of(source.text)
    found = []
    for number, spec in enumerate(targets):
        label = _label(number)
        found.append((label, _answers(spec, label, options, passages, heard)))
    return replace(
        read_interview(found),
        recital=NOT_ASKED if source is None else recital_of(found, source),
        second_reading=_second_reading(found[0][1], options),
        line=_line(found, options),
    )


def _line(found: Sequence[tuple[str, Answers]], options: InterviewOptions) -> Line | Absent:
    if options.line is None:
        return NOT_ASKED
    return asyncio.run(look_along(found[0][1], *options.line, _served(found, options)))


def _served(
    found: Sequence[tuple[str, Answers]], options: InterviewOptions
) -> tuple[tuple[str, Answers], tuple[str, Answers]] | None:
    """The line's parents among the panel."""
    if options.line_served is None:
        return None
    panel = dict(found[1:])
    first, second = options.line_served
    return (first, panel[first]), (second, panel[second])


def _check_served(options: InterviewOptions, targets: int) -> None:
    """Before anybody is asked; ``UsageError`` (``line-served``) for labels that nobody bears."""
    wanted, there = options.line_served, [_label(k) for k in range(1, targets)]
    if wanted is not None and (options.line is None or not set(wanted) <= set(there)):
        raise UsageError(
            "--line-served names the two of the panel that are the parents of --line",
            code="line-served",
            where=" ".join(wanted),
            hint="give --line too" if options.line is None else f"there are {', '.join(there) or 'none'}",
        )


def read_interview(found: Sequence[tuple[str, Answers]]) -> Interview:
    """Readings of answers, the suspect's first, by their labels; asks nobody anything.

    Raises ``UsageError`` (``interview-not-comparable``).
    """
    first = found[0][1]
    _check_comparable(first.asking, [answers.asking for _, answers in found[1:]])
    subjects = tuple(
        subject_of(label, "suspect" if k == 0 else "panel", answers)
        for k, (label, answers) in enumerate(found)
    )
    comparisons = compare(subjects)
    return Interview(
        tool=f"parentage {__version__}",
        asking=first.asking,
        subjects=subjects,
        comparisons=comparisons,
        findings=findings_of(subjects, comparisons),
        limits=LIMITS,
        distances=distances_of(found),
        closer=closer_of(found),
    )


def _answers(
    spec: Spec, label: str, options: InterviewOptions, passages: tuple[str, ...], heard: Heard
) -> Answers:
    if spec.kind == SAVED:
        return load_answers(Path(spec.locator))
    template, why = template_of(spec)
    how = Conduct(
        asking=_asking(options),
        questions=chosen_questions(options),
        template=template,
        why_no_template=why,
        journal=None if options.out is None else Journal(options.out / f"{label}.jsonl"),
        passages=passages,
        heard=lambda spent: heard(label, spent),
    )
    return asyncio.run(_asked(spec, options, how))


def _second_reading(suspect: Answers, options: InterviewOptions) -> SecondReading | Absent:
    return NOT_ASKED if options.second_reader is None else asyncio.run(_read_again(suspect, options))


async def _read_again(suspect: Answers, options: InterviewOptions) -> SecondReading | Absent:
    if options.second_reader is None:
        return NOT_ASKED
    reader = open_target(options.second_reader, options.key, options.limits)
    try:
        return await second_reading(reader, suspect)
    finally:
        await reader.close()


async def _asked(spec: Spec, options: InterviewOptions, how: Conduct) -> Answers:
    target = open_target(spec, options.key, options.limits)
    try:
        return await conduct(target, how)
    finally:
        await target.close()


def _check_comparable(first: Asking, others: Sequence[Asking]) -> None:
    """A saved panel that was asked something else shows nothing beside this suspect."""
    for other in others:
        same = (first.questions_sha256, first.temperature, first.max_tokens)
        if same != (other.questions_sha256, other.temperature, other.max_tokens):
            raise UsageError(
                "suspect and panel were not asked the same questions in the same way",
                code="interview-not-comparable",
                hint="interview them again with equal questions, temperature and length",
            )


def kept_answers(targets: Sequence[Spec], options: InterviewOptions) -> dict[str, Answers]:
    """The answers of an interview that was held, by label; those kept in no file are not among them."""
    found = {}
    for number, spec in enumerate(targets):
        label = _label(number)
        if spec.kind == SAVED:
            found[label] = load_answers(Path(spec.locator))
        elif options.out is not None:
            found[label] = load_answers(options.out / f"{label}.jsonl")
    return found


def _label(number: int) -> str:
    return "suspect" if number == 0 else f"panel-{number}"
