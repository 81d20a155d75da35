"""Task arithmetic: a base plus weighted changes, each step rounded to what the tool computes in.

Where the weights and lambda are not told apart by a rounding, lambda is one: the weights carry it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.refining import Free, moved, refined
from parentage.evidence.recognition.spans import Span, spans
from parentage.evidence.recognition.typed import proportions, typed
from parentage.records.recognition import Numbers

__all__ = ["TASK_ARITHMETIC"]

# More models than that are not weighed together here.
MOST_MODELS: Final = 6
LEAST_WEIGHT: Final = 0.004
# Lambdas that people type, beside one.
FACTORS: Final = (*(k / 10 for k in range(1, 21) if k != 10), 0.25, 0.75, 1.25, 0.33, 0.67, 3.0)
MOST_PROPORTIONS: Final = 40


def _free(models: int) -> tuple[Free, ...]:
    return tuple(Free("weight", k) for k in range(1, models))


def _propose(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, MOST_MODELS):
        for base in (b for b in context.bases if b in span.models):
            yield from _with_base(context, span, base)


def _with_base(context: Context, span: Span, base: int) -> Iterator[Candidate]:
    operands = (base, *(m for m in span.models if m != base))
    rows = ({}, *({"weight": float(w)} for w in span.changes(base)))
    numbers = Numbers(rows, {"lambda": 1.0, "normalize": False})
    variants = [
        Candidate("task_arithmetic", operands, 0, numbers, arithmetic, dtype)
        for arithmetic, dtype in context.arithmetics("task_arithmetic")
    ]
    free = _free(len(operands))

    def scaled(numbers: Numbers) -> Iterator[Numbers]:
        for normalize, factor, simple in _readings([one.of(numbers) for one in free]):
            shared = {**numbers.shared, "lambda": factor, "normalize": normalize}
            yield moved(replace(numbers, shared=shared), free, simple)

    for found in refined(variants, free, context, also=scaled):
        # A model without weight is no part of the recipe: the set without it is tried by itself.
        if min(abs(one.of(found.numbers)) for one in free) >= LEAST_WEIGHT:
            yield found


def _readings(whole: Sequence[float]) -> Iterator[tuple[bool, float, tuple[float, ...]]]:
    """(normalised?, lambda, typed weights) that come to about the same changes: a factor, or weights that
    are divided by their sum, are other roundings of them."""
    for factor in FACTORS:
        for simple in typed([w / factor for w in whole]):
            yield False, factor, simple
    total = sum(whole)
    if total > LEAST_WEIGHT:
        # Divided by their sum, only the proportions of weights count, and lambda is the rest.
        for simple in islice(proportions(whole), MOST_PROPORTIONS):
            for factor in dict.fromkeys((round(total, 1), round(total, 2), round(total, 3))):
                yield True, factor, simple


def _own(context: Context, candidate: Candidate, tensor: str) -> Iterator[Numbers]:
    for found in refined((candidate,), _free(len(candidate.operands)), context, (tensor,)):
        yield found.numbers


TASK_ARITHMETIC: Final = Recogniser("task_arithmetic", _propose, _own)
