"""Which question is asked when, under which condition, with which seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from parentage.behaviour.questions.reading import Question, digest
from parentage.records.interview import Asking

__all__ = ["CONDITIONS", "DEFAULT_SAMPLES", "Asked", "asking_of", "plan"]

# In this order in every report. ``empty-system`` is the shipped template with a system message of no words.
CONDITIONS: Final = ("shipped", "empty-system", "stripped", "raw")
# A share of .79 at n = 320 is known to ± .045 (Wilson, 95 %).
DEFAULT_SAMPLES: Final = 320


@dataclass(frozen=True, slots=True)
class Asked:
    """One sample of the plan; ``seed`` follows from the interview's seed and from what is asked."""

    number: int
    condition: str
    question: Question
    repeat: int
    seed: int


def asking_of(
    questions: Sequence[Question],
    conditions: Sequence[str],
    *,
    samples: int,
    seed: int,
    temperature: float,
    max_tokens: int,
) -> Asking:
    """The plan's settings as a record."""
    return Asking(
        conditions=tuple(c for c in CONDITIONS if c in conditions),
        samples=samples,
        seed=seed,
        temperature=temperature,
        max_tokens=max_tokens,
        questions=len(questions),
        languages=tuple(sorted({q.language for q in questions})),
        questions_sha256=digest(questions),
    )


def plan(asking: Asking, questions: Sequence[Question], prefills: Sequence[str]) -> tuple[Asked, ...]:
    """Every sample in a fixed order, languages taking turns so that a run cut short is still balanced.

    ``prefills``: conditions in which an answer can be begun; the others skip such questions.
    """
    found: list[Asked] = []
    ordered = _languages_in_turn(questions)
    for condition in asking.conditions:
        usable = [q for q in ordered if not q.begun or condition in prefills]
        for k in range(asking.samples if usable else 0):
            question, repeat = usable[k % len(usable)], k // len(usable)
            seed = _seed(asking.seed, condition, question.id, repeat)
            found.append(Asked(len(found), condition, question, repeat, seed))
    return tuple(found)


def _languages_in_turn(questions: Sequence[Question]) -> list[Question]:
    by_language: dict[str, list[Question]] = {}
    for question in questions:
        by_language.setdefault(question.language, []).append(question)
    places = {q.id: k for listed in by_language.values() for k, q in enumerate(listed)}
    return sorted(questions, key=lambda q: (places[q.id], q.language))


def _seed(seed: int, condition: str, question: str, repeat: int) -> int:
    # 31 bits: what every server's seed field takes.
    text = f"{seed}|{condition}|{question}|{repeat}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
