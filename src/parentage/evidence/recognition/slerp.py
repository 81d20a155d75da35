"""Slerp of two models: t, told from a straight line only where the two point apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.refining import Free, refined
from parentage.evidence.recognition.spans import spans
from parentage.records.recognition import Numbers

__all__ = ["SLERP"]

T: Final = (Free("t", None, -1.0, 2.0),)


def _propose(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, 2):
        # The base is the first that makes it, with the base as it was named, or the last model given.
        bases = [b for b in context.bases if b in span.models]
        for base in [*bases, *(m for m in span.models if m not in bases)]:
            other = next(m for m in span.models if m != base)
            weights = span.pooled
            a, b = (float(weights[span.models.index(m)]) for m in (base, other))
            t = b / (a + b) if a + b else 0.5
            variants = [
                Candidate("slerp", (base, other), 0, Numbers((), {"t": t}), arithmetic, dtype)
                for arithmetic, dtype in context.arithmetics("slerp")
            ]
            yield from refined(variants, T, context)


def _own(context: Context, candidate: Candidate, tensor: str) -> Iterator[Numbers]:
    for found in refined((candidate,), T, context, (tensor,)):
        yield found.numbers


SLERP: Final = Recogniser("slerp", _propose, _own)
