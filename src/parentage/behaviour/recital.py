"""Verbatim recital: how much of a published text a model says unasked, and how likely that text is to it.

An overlap alone proves little, for every assistant says "a large language model developed by". So beside
the longest runs that answers share with the text stands how probable the text's own passages are to the
suspect and to its panel, where log-probabilities of a given text are offered: a likelihood ratio.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from parentage.behaviour.answers_file import load_answers
from parentage.behaviour.near_verbatim import Aligned, Written, near_passages, sides
from parentage.behaviour.targets import Target
from parentage.behaviour.words import UNIT, Units, units_of
from parentage.checkpoints.places import open_file
from parentage.errors import UsageError
from parentage.records.absence import Absent
from parentage.records.interview import Answer, Answers, PassageScore
from parentage.records.recital import NearPassage, PassageRatio, Recital, Run

__all__ = [
    "Source",
    "longest_runs",
    "near_of",
    "passages_of",
    "read_source",
    "recital_of",
    "score_passages",
]

MAX_SOURCE = 2**18
MOST_PASSAGES = 16
PASSAGE_CHARACTERS = 300
# Runs of fewer words are ordinary phrases: "a large language model developed by" has six.
LEAST_RUN = 8
MOST_RUNS = 12
MOST_NEAR = 12
# Of one answer all that is kept of it; of all of one model's so many in all, and then the first of each.
ANSWER_CHARACTERS = 2**18
ALL_CHARACTERS = 2**22
FIRST_CHARACTERS = 8_000
_SENTENCES = re.compile(r"(?<=[.!?。！？؟])\s*|\n+")
OPENING = "Who are you?"


@dataclass(frozen=True, slots=True)
class Source:
    """What may be recited: its place, its text."""

    place: str
    text: str


def read_source(path: Path) -> Source:
    """A text file, or a file of answers, each answer a part. Raises ``UsageError`` (``recital-source``)."""
    if path.suffix == ".jsonl":
        answers = load_answers(path).answers
        text = "\n".join(dict.fromkeys(a.text for a in answers if isinstance(a.text, str)))[:MAX_SOURCE]
    else:
        with os.fdopen(open_file(path), "rb") as stream:
            data = stream.read(MAX_SOURCE + 1)
        try:
            text = data.decode("utf-8") if len(data) <= MAX_SOURCE else ""
        except UnicodeDecodeError:
            text = ""
    if not UNIT.search(text):
        raise UsageError(
            f"no text of at most {MAX_SOURCE:,} bytes in UTF-8",
            code="recital-source",
            where=str(path),
            hint="name a published text, or a file of answers of a parent",
        )
    return Source(str(path), text)


def passages_of(text: str) -> tuple[str, ...]:
    """Sentences to be scored: the longest that are not too long, in their order."""
    found = dict.fromkeys(s.strip() for s in _SENTENCES.split(text))
    usable = [s for s in found if len(UNIT.findall(s)) >= LEAST_RUN and len(s) <= PASSAGE_CHARACTERS]
    longest = sorted(usable, key=lambda s: (-len(s), s))[:MOST_PASSAGES]
    return tuple(s for s in usable if s in longest)


async def score_passages(
    target: Target, passages: Sequence[str], prompt: str
) -> tuple[PassageScore, ...] | Absent:
    """Each passage as the beginning of an answer; absent, with the reason, where scores are not offered."""
    found = []
    for passage in passages:
        scores = await target.score(prompt, passage)
        if isinstance(scores, Absent):
            return scores
        found.append(PassageScore(passage, len(scores), math.fsum(scores)))
    return tuple(found)


class _Automaton:
    """The suffix automaton of a sequence (Blumer et al. 1985): runs of another found in one pass."""

    def __init__(self, words: Sequence[str]) -> None:
        self.next: list[dict[str, int]] = [{}]
        self.link, self.length, self.end = [-1], [0], [0]
        self.last = 0
        for place, word in enumerate(words):
            self._extend(word, place)

    def _add(self, moves: dict[str, int], length: int, link: int, end: int) -> int:
        self.next.append(moves)
        self.length.append(length)
        self.link.append(link)
        self.end.append(end)
        return len(self.next) - 1

    def _extend(self, word: str, place: int) -> None:
        own = self._add({}, self.length[self.last] + 1, 0, place)
        state = self.last
        while state >= 0 and word not in self.next[state]:
            self.next[state][word] = own
            state = self.link[state]
        if state >= 0:
            follow = self.next[state][word]
            if self.length[follow] == self.length[state] + 1:
                self.link[own] = follow
            else:
                self._split(state, follow, word, own)
        self.last = own

    def _split(self, state: int, follow: int, word: str, own: int) -> None:
        copy = self._add(
            dict(self.next[follow]), self.length[state] + 1, self.link[follow], self.end[follow]
        )
        while state >= 0 and self.next[state].get(word) == follow:
            self.next[state][word] = copy
            state = self.link[state]
        self.link[follow] = self.link[own] = copy

    def longest(self, words: Sequence[str]) -> tuple[int, int, int]:
        """Length of the longest run that both have, and where it ends in ``words`` and in ours."""
        best = (0, 0, 0)
        state = length = 0
        for place, word in enumerate(words):
            while state and word not in self.next[state]:
                state = self.link[state]
                length = self.length[state]
            if word in self.next[state]:
                state, length = self.next[state][word], length + 1
            if length > best[0]:
                best = (length, place + 1, self.end[state] + 1)
        return best


def longest_runs(answers: Answers, source: Source) -> tuple[Run, ...]:
    """The longest run of each answer, of ``LEAST_RUN`` words at least, longest first, each run once."""
    own = units_of(source.text)
    automaton = _Automaton(own.words)
    runs: dict[tuple[str, ...], Run] = {}
    for answer, text in _texts(answers):
        units = units_of(text)
        length, end, there = automaton.longest(units.words)
        if length >= LEAST_RUN:
            said, written = units.between(end - length, end), own.between(there - length, there)
            key = units.words[end - length : end]
            before = runs.get(key)
            times = 1 if before is None else before.answers + 1
            first = answer if before is None else None
            runs[key] = Run(
                length, said if before is None else before.said, written, times,
                first.condition if first is not None else before.condition if before is not None else "",
            )  # fmt: skip
    ordered = sorted(runs.values(), key=lambda r: (-r.words, -r.answers, r.said))
    return tuple(ordered[:MOST_RUNS])


def _texts(answers: Answers) -> Iterator[tuple[Answer, str]]:
    """What is read of each answer, in the plan's order."""
    left = ALL_CHARACTERS
    for answer in sorted(answers.answers, key=lambda a: a.number):
        if isinstance(answer.text, str):
            text = answer.text[: min(ANSWER_CHARACTERS, max(left, FIRST_CHARACTERS))]
            left -= len(text)
            yield answer, text


def _cut(answers: Answers) -> int:
    """Answers of which not all was read."""
    return sum(len(text) < len(str(answer.text)) for answer, text in _texts(answers))


def near_of(answers: Answers, source: Source) -> tuple[NearPassage, ...]:
    """Passages that are nearly the text's, with the words that differ; most equal words first."""
    written = Written(units_of(source.text))
    found: dict[tuple[int, int], NearPassage] = {}
    for answer, text in _texts(answers):
        units = units_of(text)
        for aligned in near_passages(units, written):
            before = found.get(aligned.written)
            if before is None or before.same < aligned.same:
                told = _passage(aligned, units, written.units, answer.condition)
            else:
                told = before
            times = 1 if before is None else before.answers + 1
            found[aligned.written] = replace(told, answers=times)
    ordered = sorted(found.items(), key=lambda item: (-item[1].same, -item[1].answers, item[0]))
    return tuple(passage for _, passage in ordered[:MOST_NEAR])


def _passage(aligned: Aligned, said: Units, written: Units, condition: str) -> NearPassage:
    ours, theirs = sides(aligned, said, written)
    words = (aligned.said[1] - aligned.said[0], aligned.written[1] - aligned.written[0])
    return NearPassage(aligned.same, *words, ours, theirs, 1, condition)


def recital_of(found: Sequence[tuple[str, Answers]], source: Source) -> Recital:
    """The suspect's runs and its panel's beside them, and likelihood ratios of the passages."""
    runs = tuple((label, longest_runs(answers, source)) for label, answers in found)
    near = tuple((label, near_of(answers, source)) for label, answers in found)
    left = [(label, _cut(answers)) for label, answers in found]
    return Recital(
        source=source.place,
        longest={label: max((r.words for r in own), default=0) for label, own in runs},
        runs=runs[0][1],
        panel_runs={label: own[:3] for label, own in runs[1:]},
        ratios=_ratios(found),
        near=near[0][1],
        panel_near={label: own[:3] for label, own in near[1:]},
        limits=tuple(f"of {cut:,} long answers of {label} not all was read" for label, cut in left if cut),
    )


def _ratios(found: Sequence[tuple[str, Answers]]) -> tuple[PassageRatio, ...] | Absent:
    suspect = found[0][1].passages
    if isinstance(suspect, Absent):
        return Absent(f"suspect: {suspect.reason}")
    made = []
    for label, answers in found[1:]:
        if isinstance(answers.passages, Absent):
            continue
        theirs = {p.passage: p for p in answers.passages}
        for own in suspect:
            other = theirs.get(own.passage)
            if other is not None:
                made.append(PassageRatio(own.passage, label, own.logprob, other.logprob, own.tokens))
    return tuple(made) if made else Absent("none of the panel offers scores of a given text")
