"""From answers to rates with intervals, and from rates to comparisons."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from parentage.behaviour.names.aliases import known_names
from parentage.behaviour.names.answers import Reading, read_answer
from parentage.behaviour.plan import CONDITIONS
from parentage.numerics.shares.contingency import fisher_exact, holm
from parentage.numerics.shares.intervals_binomial import wilson
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.estimate import Estimate
from parentage.records.interview import Answer, Answers, Comparison, Group, NameRate, Subject

__all__ = ["ALL", "compare", "subject_of"]

ALL = "all"
Read = tuple[Answer, Reading]


def subject_of(label: str, role: str, found: Answers) -> Subject:
    """Read every answer and count; the answers themselves stay in their file, pinned by its digest."""
    read = [(a, _read(a)) for a in sorted(found.answers, key=lambda a: a.number)]
    groups: list[Group] = []
    for condition in CONDITIONS:
        under = [r for r in read if r[0].condition == condition]
        if not under:
            continue
        groups.append(_group(condition, ALL, under))
        for language in sorted({a.language for a, _ in under}):
            groups.append(_group(condition, language, [r for r in under if r[0].language == language]))
    return Subject(
        label=label,
        role=role,
        respondent=found.respondent,
        hidden=found.hidden,
        left_out=found.left_out,
        answers_sha256=_digest(found.answers),
        tokens_in=_sum(a.tokens_in for a in found.answers),
        tokens_out=_sum(a.tokens_out for a in found.answers),
        groups=tuple(groups),
    )


def _read(answer: Answer) -> Reading:
    if isinstance(answer.text, Absent):
        return Reading((), (), False, False)
    return read_answer(f"{answer.begun} {answer.text}" if answer.begun else answer.text)


def _digest(answers: Sequence[Answer]) -> str:
    """Of the answers in their plan's order, as the file has them."""
    ordered = [to_plain(a) for a in sorted(answers, key=lambda a: a.number)]
    text = "".join(json.dumps(a, ensure_ascii=True, separators=(",", ":")) + "\n" for a in ordered)
    return hashlib.sha256(text.encode()).hexdigest()


def _sum(counts: Iterable[int | Absent]) -> int | Absent:
    known = [c for c in counts if isinstance(c, int)]
    return sum(known) if known else Absent("not counted by the target")


def _group(condition: str, language: str, read: Sequence[Read]) -> Group:
    came = [(a, r) for a, r in read if isinstance(a.text, str)]
    counts = Counter(name for _, r in came for name in r.claims)
    ambiguous = sum(r.ambiguous for _, r in came)
    empty = sum(not str(a.text).strip() for a, _ in came)
    refusals = sum(r.refuses for _, r in came)
    without = sum(not r.claims for _, r in came) - ambiguous - empty - refusals
    names = known_names()
    rates = [
        NameRate(name, names[name].shown, names[name].kind, n, _share(n, len(came)))
        for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    missing = len(read) - len(came)
    return Group(condition, language, len(came), missing, ambiguous, empty, refusals, without, tuple(rates))


def _share(count: int, total: int) -> Estimate:
    low, high = wilson(count, total)
    return Estimate(count / total, low, high)


def compare(subjects: Sequence[Subject]) -> tuple[Comparison, ...]:
    """The suspect (first) against each of the panel, and each subject's conditions against each other."""
    suspect, panel = subjects[0], subjects[1:]
    between = [c for other in panel for c in _against(suspect, other)]
    within = [c for subject in subjects for c in _conditions(subject)]
    return (*_adjusted(between), *_adjusted(within))


def _adjusted(found: Sequence[Comparison]) -> list[Comparison]:
    corrected = holm([c.p for c in found])
    return [replace(c, p_holm=p) for c, p in zip(found, corrected, strict=True)]


def _totals(subject: Subject) -> dict[str, Group]:
    return {g.condition: g for g in subject.groups if g.language == ALL and g.answers}


def _against(suspect: Subject, other: Subject) -> list[Comparison]:
    ours, theirs = _totals(suspect), _totals(other)
    return [
        _compared("panel", name, (f"{suspect.label}, {c}", ours[c]), (f"{other.label}, {c}", theirs[c]))
        for c in ours
        if c in theirs
        for name in _names(ours[c], theirs[c])
    ]


def _conditions(subject: Subject) -> list[Comparison]:
    """As shipped against each other condition: what the template, and not the weights, says."""
    totals = _totals(subject)
    shipped = totals.get("shipped")
    if shipped is None:
        return []
    return [
        _compared("condition", n, (f"{subject.label}, shipped", shipped), (f"{subject.label}, {c}", group))
        for c, group in totals.items()
        if c != "shipped"
        for n in _names(shipped, group)
    ]


def _names(first: Group, second: Group) -> list[str]:
    return sorted({r.name for g in (first, second) for r in g.names})


def _compared(kind: str, name: str, first: tuple[str, Group], second: tuple[str, Group]) -> Comparison:
    one, other = _claims(first[1], name), _claims(second[1], name)
    p = fisher_exact(one, first[1].answers, other, second[1].answers)
    return Comparison(
        kind,
        name,
        known_names()[name].shown,
        first[0],
        second[0],
        one,
        first[1].answers,
        other,
        second[1].answers,
        p,
        p,
    )


def _claims(group: Group, name: str) -> int:
    return next((r.claims for r in group.names if r.name == name), 0)
