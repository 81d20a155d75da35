"""SCE is predicted outright but for the share of the varying elements that it merges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.thinned.by_size import screened
from parentage.evidence.recognition.thinned.looking import parts_of
from parentage.methods.estimates.numbers import typed
from parentage.methods.estimates.readings import Range, common
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["SCE"]

TRIED: Final = 24
# An element that stayed the base's says that it was not selected where every change of it is so many steps
# of the grid: a weighted mean of them would have moved it.
STEPS: Final = 3.0
# Elements whose variance may round past another's.
SLACK: Final = 1e-3


def _propose(context: Context) -> Iterator[Candidate]:
    for models in context.sets(3, 64):
        for base in (b for b in context.bases if b in models):
            operands = (base, *(k for k in models if k != base))
            for arithmetic, dtype in context.arithmetics("sce"):
                yield Candidate("sce", operands, 0, Numbers((), {"select_topk": 1.0}), arithmetic, dtype)
                if not context.settled:
                    yield from screened(
                        context, context.probes[:1], _recipes(context, operands, arithmetic, dtype)
                    )


def _recipes(
    context: Context, operands: tuple[int, ...], arithmetic: str, dtype: DType
) -> Iterator[Candidate]:
    share = _share(context, operands, dtype)
    for value in typed(share, TRIED) if share is not None else ():
        if value < 1:
            yield Candidate("sce", operands, 0, Numbers((), {"select_topk": value}), arithmetic, dtype)


def _share(context: Context, operands: tuple[int, ...], dtype: DType) -> Range | None:
    """Bounds of the selected share over the probe: what moved was selected, what should have was not."""
    ends = []
    for name in context.probes:
        parts, _ = parts_of(context, name, operands, dtype) or (None, 0)
        if parts is None or not parts.changed.any():
            continue
        spread = parts.deltas.var(axis=0)
        varying = max(int(np.count_nonzero(spread)), 1)
        steps = np.abs(parts.deltas).min(axis=0) > STEPS * (parts.high - parts.low)
        alike = np.abs(np.sign(parts.deltas).sum(axis=0)) == len(parts.deltas)
        stayed = spread[~parts.changed & steps & alike]
        # One element in a thousand may have a variance that rounds past another's.
        low = np.count_nonzero(spread > np.quantile(spread[parts.changed], SLACK)) / varying
        high = 1.0
        if stayed.size:
            high = (np.count_nonzero(spread >= np.quantile(stayed, 1 - SLACK)) + 1) / varying
        ends.append((float(low) * (1 - SLACK), min(1.0, float(high) * (1 + SLACK))))
    return common(ends) if ends else None


SCE: Final = Recogniser("sce", _propose)
