"""An estimate is never a bare number: it carries its interval and that interval's level."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Estimate"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """``estimate`` within ``[low, high]`` at confidence ``level``.

    ``level`` 1.0 marks a feasible set: every value outside is excluded outright, not unlikely.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95
