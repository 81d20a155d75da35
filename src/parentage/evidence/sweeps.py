"""Tensors together: which weights do all of them allow, and the consistency curve of each subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.tensors import MeasuredTensor
from parentage.records.absence import Absent
from parentage.records.evidence import Mixture, SharedSweep

__all__ = ["shared_sweeps"]


@dataclass(slots=True)
class _Tally:
    tensors: int = 0
    consistent: int = 0
    informative: int = 0
    low: float = -np.inf
    high: float = np.inf
    casts: dict[str, int] = field(default_factory=dict)
    curve: NDArray[np.int64] | None = None

    def add(self, mixture: Mixture, curve: NDArray[np.int64]) -> None:
        """Count one tensor in."""
        if mixture.informative == 0:
            return
        self.tensors += 1
        self.informative += mixture.informative
        self.casts[mixture.cast] = self.casts.get(mixture.cast, 0) + mixture.informative
        self.curve = curve.copy() if self.curve is None else self.curve + curve
        if mixture.consistency == 1.0:
            self.consistent += 1
            self.low, self.high = max(self.low, mixture.low), min(self.high, mixture.high)


def shared_sweeps(measured: Sequence[MeasuredTensor]) -> tuple[SharedSweep, ...]:
    """One entry for each (subject, pair) that was measured."""
    tallies: dict[tuple[int, int, int], _Tally] = {}
    for item in measured:
        for mixture in item.evidence.mixtures:
            key = (mixture.subject, mixture.first, mixture.second)
            tallies.setdefault(key, _Tally()).add(mixture, item.curves[key])
    return tuple(_entry(key, tallies[key]) for key in sorted(tallies))


def _entry(key: tuple[int, int, int], tally: _Tally) -> SharedSweep:
    shared = tally.consistent > 0 and tally.low <= tally.high
    none = Absent("no weight is allowed by every consistent tensor")
    curve = () if tally.curve is None else tuple(int(x) for x in tally.curve)
    return SharedSweep(
        subject=key[0],
        first=key[1],
        second=key[2],
        cast=max(sorted(tally.casts), key=lambda c: tally.casts[c], default="as-stored"),
        tensors=tally.tensors,
        consistent_tensors=tally.consistent,
        low=float(tally.low) if shared and np.isfinite(tally.low) else none,
        high=float(tally.high) if shared and np.isfinite(tally.high) else none,
        informative=tally.informative,
        curve=curve,
    )
