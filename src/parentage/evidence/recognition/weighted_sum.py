"""A weighted sum whose numbers no estimate named: 0.51 : 0.47 of two models, divided by their sum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.refining import Free, moved, refined
from parentage.evidence.recognition.spans import spans
from parentage.evidence.recognition.typed import proportions
from parentage.records.recognition import Numbers

__all__ = ["WEIGHTED_SUM"]

MOST_MODELS: Final = 6
# .59 : .73 is the 49th of those near .4468 : .5532, short ones first.
MOST_PROPORTIONS: Final = 80
LEAST_WEIGHT: Final = 0.004


def _propose(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, MOST_MODELS):
        weights = [float(w) for w in span.pooled]
        if min(weights) < LEAST_WEIGHT:
            continue
        rows = tuple({"weight": w} for w in weights)
        free = tuple(Free("weight", k) for k in range(len(rows)))

        def proportional(numbers: Numbers, free: tuple[Free, ...] = free) -> Iterator[Numbers]:
            for simple in islice(proportions([one.of(numbers) for one in free]), MOST_PROPORTIONS):
                yield moved(numbers, free, simple)

        variants = [
            Candidate("linear", span.models, None, Numbers(rows, {"normalize": True}), arithmetic, dtype)
            for arithmetic, dtype in context.arithmetics("linear")
        ]
        yield from refined(variants, free, context, also=proportional)


WEIGHTED_SUM: Final = Recogniser("linear", _propose)
