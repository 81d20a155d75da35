"""Nuslerp and multislerp: shares on a sphere, of models or of their changes from a base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.refining import Free, moved, refined
from parentage.evidence.recognition.spans import Span, spans
from parentage.evidence.recognition.typed import proportions
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["MULTISLERP", "NUSLERP"]

MOST_MODELS: Final = 5
LEAST_WEIGHT: Final = 0.004
MOST_PROPORTIONS: Final = 40


def _start(method: str, span: Span, base: int | None, shared: dict[str, bool]) -> Candidate | None:
    """The span's weights as shares that sum to one; None where they are no shares."""
    others = [m for m in span.models if m != base]
    weights = [float(span.pooled[span.models.index(m)]) for m in others]
    total = sum(weights)
    if len(others) < 2 or total <= 0.05 or min(weights) < LEAST_WEIGHT:
        return None
    rows = [{"weight": w / total} for w in weights]
    numbers = Numbers((*(() if base is None else ({},)), *rows), dict(shared))
    operands = tuple(others) if base is None else (base, *others)
    return Candidate(method, operands, None if base is None else 0, numbers, "", DType.F32)


def _variants(context: Context, start: Candidate) -> list[Candidate]:
    return [
        replace(start, arithmetic=arithmetic, dtype=dtype)
        for arithmetic, dtype in context.arithmetics(start.method)
    ]


def _free(candidate: Candidate) -> tuple[Free, ...]:
    return tuple(Free("weight", k, 0.0, 8.0) for k, row in enumerate(candidate.numbers.each) if row)


def _nuslerp(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, 3):
        for base in (None, *(b for b in context.bases if b in span.models)):
            if len(span.models) - (base is not None) != 2:
                continue
            for flatten in (True, False):
                shared = {"nuslerp_flatten": flatten, "nuslerp_row_wise": False}
                yield from _refined(context, _start("nuslerp", span, base, shared))


def _multislerp(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, MOST_MODELS):
        for base in (None, *(b for b in context.bases if b in span.models)):
            yield from _refined(context, _start("multislerp", span, base, {"normalize_weights": True}))


def _refined(context: Context, start: Candidate | None) -> Iterator[Candidate]:
    if start is None:
        return
    free = _free(start)

    def proportional(numbers: Numbers) -> Iterator[Numbers]:
        # Weights that are rounded to 16 bits and then divided: their size counts too.
        for simple in islice(proportions([one.of(numbers) for one in free]), MOST_PROPORTIONS):
            yield moved(numbers, free, simple)

    # Of two models nuslerp is slerp, whose t is then a quotient that nobody types: both are named.
    same = start.method == "nuslerp" and start.base is None
    yield from refined(_variants(context, start), free, context, also=proportional, settled_too=same)


def _own(context: Context, candidate: Candidate, tensor: str) -> Iterator[Numbers]:
    for found in refined((candidate,), _free(candidate), context, (tensor,)):
        yield found.numbers


NUSLERP: Final = Recogniser("nuslerp", _nuslerp, _own)
MULTISLERP: Final = Recogniser("multislerp", _multislerp, _own)
