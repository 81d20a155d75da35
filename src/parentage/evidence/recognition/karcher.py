"""The Karcher mean of two or more models has no weights: it is predicted outright.

Its dot products are a matrix library's, in an order of its own, so that a last bit may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.spans import spans
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["KARCHER"]

# Float32 means of models far apart, stored in 16 bits, differed in a last bit of up to 3 in 10,000 elements
# (docs/methods.md); stored in 32 bits, three of them in up to four last bits of 80 in 100.
EXACT: Final = 0.999
WIDE: Final = 0.05


def _propose(context: Context) -> Iterator[Candidate]:
    for span in spans(context, 2, 8):
        for arithmetic, dtype in context.arithmetics("karcher"):
            numbers = Numbers((), {"max_iter": 10, "tol": 1e-5})
            wide = dtype is DType.F32 and context.held is DType.F32 and arithmetic != "parentage-1"
            exact = WIDE if wide else EXACT
            yield Candidate("karcher", span.models, None, numbers, arithmetic, dtype, exact=exact)


KARCHER: Final = Recogniser("karcher", _propose)
