"""Nuslerp and multislerp: shares on a sphere, of models or of their changes from a base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.refining import Free, moved, refined, replays_on
from parentage.evidence.recognition.replaying import replay_tensor
from parentage.evidence.recognition.spans import Span, spans
from parentage.evidence.recognition.typed import proportions
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["MULTISLERP", "NUSLERP"]

MOST_MODELS: Final = 5
LEAST_WEIGHT: Final = 0.004
MOST_PROPORTIONS: Final = 40
# What a recipe gives of the first tensor where another share next to its own may be the one; shares up to
# .06 away, in steps of a sixteenth of what bfloat16 tells apart: two true ones lay .018 and .032 away.
NEARLY: Final = 0.75
STEP: Final = 2.0**-12
STEPS: Final = 240


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
    for found in refined(_variants(context, start), free, context, also=proportional, settled_too=same):
        yield from _in_steps(context, found, free, proportional)


def _in_steps(
    context: Context, found: Candidate, free: Sequence[Free], also: Callable[[Numbers], Iterable[Numbers]]
) -> Iterator[Candidate]:
    """The recipe, and where it is nearly right: the share near its own that replays. Of two models one
    share decides; in 16 bits its sines are rounded, and what a step answers to may lead to another step."""
    yield found
    if found.dtype is DType.F32 or len(free) != 2 or context.settled:
        return
    counted = replay_tensor(found, context.probes[0], context)
    if counted is None or not NEARLY <= counted.share < 1.0:
        return
    first, second = (one.of(found.numbers) for one in free)
    for share in _around(second / (first + second)):
        here = moved(found.numbers, free, (1 - share, share))
        if replays_on(found.having(here), context.probes, context):
            typed = (found.having(n) for n in also(here))
            yield next((t for t in typed if replays_on(t, context.probes, context)), found.having(here))
            return


def _around(share: float) -> Iterator[float]:
    """Shares around one, nearest first."""
    for k in range(1, STEPS + 1):
        yield from (s for s in (share + k * STEP, share - k * STEP) if 0 < s < 1)


def _own(context: Context, candidate: Candidate, tensor: str) -> Iterator[Numbers]:
    for found in refined((candidate,), _free(candidate), context, (tensor,)):
        yield found.numbers


NUSLERP: Final = Recogniser("nuslerp", _nuslerp, _own)
MULTISLERP: Final = Recogniser("multislerp", _multislerp, _own)
