"""How far a suspect may lie from a replay while numbers are looked for, and how long the search goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.records.dtypes import DType

__all__ = ["Nearness", "nearness"]

Floats = NDArray[np.float64]
# Of one element, in half cells: zero crossings and elements that something else changed do not lead.
CLIPPED: Final = 16.0
# The same in medians, where numbers are of 32 bits: an estimate off by 1e-3 leaves 10,000 half cells in
# all of them, and steps of sixteen would never arrive.
TYPICAL: Final = 8.0


@dataclass(frozen=True, slots=True)
class Nearness:
    """Mean distances of the suspect from a replay, in half cells (a grid step is two).

    ``hopeful``: above it a recipe is given up; ``near``: the same where numbers without a short name are
    looked for; ``nearly``: where numbers should be right but for a few elements. ``longer``: how many times
    the usual steps a search takes.
    """

    hopeful: float
    near: float
    nearly: float
    longer: int
    wide: bool

    def clipped(self, left: Floats) -> Floats:
        """Distances of elements [n], none of which leads farther than others do."""
        most = CLIPPED
        if self.wide:
            most = max(most, TYPICAL * float(np.median(np.abs(left))))
        found: Floats = np.clip(left, -most, most)
        return found


# Where coefficients themselves are rounded to 16 bits, numbers next to the right ones leave 3; weights off
# by 1e-3 leave .01 to .05.
NARROW: Final = Nearness(hopeful=8.0, near=2.0, nearly=0.05, longer=1, wide=False)
# A last bit of a weight is one of every element, and two tools that round on the way in another order leave
# 6 (nuslerp) or 18 (multislerp) at the right numbers.
WIDE: Final = Nearness(hopeful=128.0, near=32.0, nearly=32.0, longer=3, wide=True)


def nearness(held: DType) -> Nearness:
    """For a suspect whose numbers are of that format."""
    return WIDE if held is DType.F32 else NARROW
