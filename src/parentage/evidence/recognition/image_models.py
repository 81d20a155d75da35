"""Add-difference, a + alpha (b - c), as mergers of image models compute it: every order of three models."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Final

import numpy as np

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["ADD_DIFFERENCE"]

# Numbers that people and sliders set: steps of a twentieth, a hundredth, a thousandth.
STEPS: Final = (20, 100, 1000)
# What a (b - c) of another scale leaves of the suspect's change; right orders leave rounding.
MOST_LEFT: Final = 0.2


def _propose(context: Context) -> Iterator[Candidate]:
    for alpha, operands in sorted(_orders(context)):
        for number in dict.fromkeys(round(alpha * s) / s for s in STEPS):
            for arithmetic, dtype in _arithmetics(context):
                numbers = Numbers((), {"alpha": number})
                yield Candidate("add_difference", operands, None, numbers, arithmetic, dtype)


def _arithmetics(context: Context) -> Iterator[tuple[str, DType]]:
    yield "sd-mecha", DType.F32
    yield from (("bf16-scalar", d) for d in context.dtypes)
    yield "parentage-1", DType.F32


def _orders(context: Context) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Triples in which a share of b - c explains what parts the suspect from a, on the first probe."""
    values = context.probe(context.probes[0]).values
    for a, b, c in permutations([k for k in context.sources if k in values], 3):
        change, along = values[0] - values[a], values[b] - values[c]
        squares = float(along @ along)
        alpha = float(change @ along) / squares if squares > 0 else 0.0
        left = float(np.sum((change - alpha * along) ** 2))
        if np.isfinite(left) and alpha > 0 and left <= MOST_LEFT * float(change @ change):
            yield alpha, (a, b, c)


ADD_DIFFERENCE: Final = Recogniser("add_difference", _propose)
"""Proposed after methods of language models: three models and one number."""
