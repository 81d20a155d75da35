"""Slerp of two models: t, told from a straight line only where the two point apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.refining import Free, refined
from parentage.evidence.recognition.spans import spans
from parentage.records.recognition import Numbers

__all__ = ["SLERP"]

PARALLEL: Final = 0.9995
T: Final = (Free("t", None, -1.0, 2.0),)


def _propose(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, 2):
        if not _apart(context, span.models):
            continue
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


def _apart(context: Context, models: tuple[int, ...]) -> bool:
    """Is there a tensor in which the rule takes the arc? Elsewhere it is a weighted sum, and called one."""
    for name in context.probes:
        values = context.probe(name).values
        if all(k in values for k in models):
            x, y = (values[k] for k in models)
            if abs(float(x @ y)) < PARALLEL * float(np.linalg.norm(x) * np.linalg.norm(y)):
                return True
    return False


def _own(context: Context, candidate: Candidate, tensor: str) -> Iterator[Numbers]:
    for found in refined((candidate,), T, context, (tensor,)):
        yield found.numbers


SLERP: Final = Recogniser("slerp", _propose, _own)
