"""How much of a direction was taken out: an estimate without the bias of storage rounding, and an interval.

What lies along an estimated direction is less than what was taken out: changes below half a grid step go,
and the direction is off. Both are measured by doing it again: the estimated direction is taken out of the
matrices as they were, stored, and estimated anew; by what comes out too small the estimate is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

__all__ = ["LEVEL", "Strength", "strength_of"]

LEVEL: Final = 0.95
# Strengths, as shares of the estimated one, that are taken out again: each rounds other numbers.
AGAIN: Final = (0.99, 1.0, 1.01)
# Of the correction, how much may be wrong: up to .15 of it was left where a hidden state has 1,024 numbers
# (bfloat16, strengths of .1 and .3).
DOUBT: Final = 0.25
# A tool that works in 16 bits stores the direction so, which is then not quite of length one, and takes out
# the strength times its length twice over. Without this three of eleven abliterations by torch in bfloat16
# lay outside, by up to 4e-4. By format: half a grid step over a number's size.
HALF_STEP: Final = {DType.BF16: 2.0**-9, DType.F16: 2.0**-12}
TWO_SIDED: Final = 1.96
Numbers = NDArray[np.float64]
Estimate = Callable[[Sequence[Numbers]], tuple[Numbers, Sequence[float]]]
"""From each matrix's change, [hidden, some]: the direction [hidden], and the strength in each matrix."""


@dataclass(frozen=True, slots=True)
class Strength:
    """At ``LEVEL``; from matrices whose rounding errors are independent."""

    estimate: float
    low: float
    high: float


def strength_of(
    before: Sequence[Numbers], changes: Sequence[Numbers], stored: DType, estimate: Estimate
) -> Strength:
    """``before``: two or more matrices [hidden, some] as they were; ``stored``: the suspect's format.

    Mean over the matrices, each corrected by what taking it out again loses, with Student's interval,
    and a quarter of the correction beside it.
    """
    # A quarter of a second, and only where a direction was found.
    from scipy.stats import t

    direction, found = estimate(changes)
    plain, kept = np.array(found), list[Numbers]()
    middle = float(np.median(plain))
    for share in AGAIN:
        made = [
            _stored(w - share * middle * np.outer(direction, direction @ w), stored) - w for w in before
        ]
        kept.append(np.array(estimate(made)[1]) / (share * middle))
    corrected = plain / np.mean(kept, axis=0)
    mean, n = float(corrected.mean()), plain.size
    reach = float(t.ppf((1 + LEVEL) / 2, n - 1) * corrected.std(ddof=1) / np.sqrt(n))
    reach += DOUBT * abs(mean - float(plain.mean()))
    # Errors within half a step, each number's by itself: a spread of the step over the root of three.
    length = 2 * HALF_STEP.get(stored, 0.0) / np.sqrt(3) * float(np.sqrt((direction**4).sum()))
    reach += TWO_SIDED * abs(mean) * float(length)
    return Strength(mean, mean - reach, mean + reach)


def _stored(values: Numbers, dtype: DType) -> Numbers:
    near = values.astype(np.float32).astype(np.float64).reshape(-1)
    return to_float64(round_to(near, dtype), dtype).reshape(values.shape)
