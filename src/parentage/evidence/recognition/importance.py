"""Arcee Fusion has no free number: which changes matter is predicted outright from the base and a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.records.recognition import Numbers

__all__ = ["ARCEE_FUSION"]


def _propose(context: Context) -> Iterator[Candidate]:
    for models in context.sets(2, 2):
        for base in (b for b in context.bases if b in models):
            operands = (base, *(k for k in models if k != base))
            for arithmetic, dtype in context.arithmetics("arcee_fusion"):
                yield Candidate("arcee_fusion", operands, 0, Numbers(), arithmetic, dtype)


ARCEE_FUSION: Final = Recogniser("arcee_fusion", _propose)
