"""NearSwap moves every element by t towards the other model, or all the way: t is what most moved by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.thinned.by_size import screened
from parentage.evidence.recognition.thinned.looking import parts_of
from parentage.methods.estimates.ratios import peak
from parentage.methods.estimates.readings import Range
from parentage.numerics.feasible.candidates import simplest_in
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["NEARSWAP"]

TRIED: Final = 40
# Roundings of the merger's dtype, of the operands' size, between the base and what is stored.
ROUNDINGS: Final = 3.0


def _propose(context: Context) -> Iterator[Candidate]:
    if context.settled:
        return
    for models in context.sets(2, 2):
        for base in (b for b in context.bases if b in models):
            operands = (base, *(k for k in models if k != base))
            for arithmetic, dtype in context.arithmetics("nearswap"):
                found = _moved_by(context, operands, dtype)
                if found is not None:
                    yield from screened(
                        context, context.probes[:1], _recipes(operands, found, arithmetic, dtype)
                    )


def _moved_by(context: Context, operands: tuple[int, ...], dtype: DType) -> Range | None:
    """How far most elements that were not taken over moved, on the first tensor of the probe."""
    parts, _ = parts_of(context, context.probes[0], operands, dtype) or (None, 0)
    if parts is None:
        return None
    towards = np.sign(parts.deltas[0])
    first, second = (parts.low - parts.base) * towards, (parts.high - parts.base) * towards
    reach = ROUNDINGS * parts.unit * np.maximum(np.abs(parts.base), np.abs(parts.deltas[0]))
    start, stop = np.minimum(first, second) - reach, np.maximum(first, second) + reach
    # What moved all the way, or not at all, says nothing of t.
    known = parts.changed & (towards != 0) & (stop < np.abs(parts.deltas[0])) & (start > 0)
    scale = float(np.median(stop[known])) if known.any() else 0.0
    if scale <= 0:
        return None
    found = peak(start[known] / scale, stop[known] / scale)
    return None if found is None else (found.low * scale, found.high * scale)


def _recipes(operands: tuple[int, ...], t: Range, arithmetic: str, dtype: DType) -> Iterator[Candidate]:
    for value in simplest_in(t[0], t[1], TRIED):
        yield Candidate("nearswap", operands, 0, Numbers((), {"t": value}), arithmetic, dtype)


NEARSWAP: Final = Recogniser("nearswap", _propose)
