"""Model stock has no free parameter: it is predicted outright from the base and two or more models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.records.recognition import Numbers

__all__ = ["MODEL_STOCK"]


def _propose(context: Context) -> Iterator[Candidate]:
    for models in context.sets(3, 64):
        for base in (b for b in context.bases if b in models):
            operands = (base, *(k for k in models if k != base))
            for filter_wise in (False, True):
                for arithmetic, dtype in context.arithmetics("model_stock"):
                    numbers = Numbers((), {"filter_wise": filter_wise})
                    yield Candidate("model_stock", operands, 0, numbers, arithmetic, dtype)


MODEL_STOCK: Final = Recogniser("model_stock", _propose)
