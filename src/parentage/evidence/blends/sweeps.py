"""Tensors together: which weights do all of them allow, and the consistency curve of each subject."""

from __future__ import annotations

from collections import Counter
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
    mixtures: list[Mixture] = field(default_factory=list)
    curve: NDArray[np.int64] | None = None

    def add(self, mixture: Mixture, curve: NDArray[np.int64]) -> None:
        """Count one tensor in."""
        if mixture.informative:
            self.mixtures.append(mixture)
            self.curve = curve.copy() if self.curve is None else self.curve + curve

    def cast(self) -> str:
        """What most informative elements saw their parents cast to."""
        votes: Counter[str] = Counter()
        for mixture in self.mixtures:
            votes[mixture.cast] += mixture.informative
        return max(sorted(votes), key=lambda c: votes[c], default="as-stored")


def shared_sweeps(measured: Sequence[MeasuredTensor]) -> tuple[SharedSweep, ...]:
    """One entry for each (subject, pair) that was measured."""
    tallies: dict[tuple[int, int, int], _Tally] = {}
    for item in measured:
        for mixture in item.evidence.mixtures:
            key = (mixture.subject, mixture.first, mixture.second)
            tallies.setdefault(key, _Tally()).add(mixture, item.curves[key])
    return tuple(_entry(key, tallies[key]) for key in sorted(tallies))


def _entry(key: tuple[int, int, int], tally: _Tally) -> SharedSweep:
    cast = tally.cast()
    # A merger casts all tensors alike: where the parents meet once cast, another cast may fit too,
    # and would only mislead.
    consistent = [m for m in tally.mixtures if m.consistency == 1.0]
    alike = [m for m in consistent if m.cast == cast]
    low = max((m.low for m in alike), default=0.0)
    high = min((m.high for m in alike), default=0.0)
    shared = bool(alike) and low <= high
    none = Absent("no weight is allowed by every consistent tensor")
    return SharedSweep(
        subject=key[0],
        first=key[1],
        second=key[2],
        cast=cast,
        tensors=len(tally.mixtures),
        consistent_tensors=len(consistent),
        low=float(low) if shared else none,
        high=float(high) if shared else none,
        informative=sum(m.informative for m in tally.mixtures),
        curve=() if tally.curve is None else tuple(int(x) for x in tally.curve),
    )
