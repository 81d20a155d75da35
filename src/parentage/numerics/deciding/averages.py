"""Means of models that were stored in 16 bits: what they leave in 32 bits.

Where the models agree, their mean lies on the narrow grid; where they differ by a step or more, it lies at
a multiple of 1/N of the step. A blend that was stored in 16 bits and changed afterwards lies near the grid
or anywhere, never at equal fractions of a step.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import ordinal, round_to, to_float64
from parentage.records.dtypes import DType

__all__ = ["MOST_MODELS", "MOST_ON_F16", "mean_of_narrow"]

Floats = NDArray[np.float64]
MOST_MODELS: Final = 8
# Eighths of a step of bfloat16 are steps of float16: three in seven of any numbers stored so are quarters.
MOST_ON_F16: Final = 4
# In steps: float32 rounds a mean to 2**-17 of a step of bfloat16, to 2**-14 of one of float16.
CLOSE: Final = 2.0**-11
# Fewer numbers off the grid tell nothing. Of any others less than 1 in 100 lie so near to an eighth.
FEWEST: Final = 50
MOST_OF_THEM: Final = 0.5


def mean_of_narrow(values: Floats, narrow: DType, most: int = MOST_MODELS) -> int | None:
    """Of how many models in ``narrow`` the float32 ``values`` [n] would be the mean; None where of none, of
    more than ``most``, or where fewer than fifty lie off the grid."""
    t = _within_a_step(values, narrow)
    t = t[t > 0.0]
    if t.size < FEWEST:
        return None
    for n in range(2, most + 1):
        if np.mean(np.abs(t * n - np.rint(t * n)) <= CLOSE * n) > MOST_OF_THEM:
            return n
    return None


def _within_a_step(values: Floats, narrow: DType) -> Floats:
    """How far each value lies from the grid's next one below in size, in steps; 0 on the grid."""
    size = np.abs(values[np.isfinite(values)])
    bits = round_to(size, narrow)
    near = to_float64(bits, narrow)
    below = np.where(near > size, ordinal(bits, narrow) - 1, ordinal(bits, narrow))
    low = to_float64(below.astype(bits.dtype), narrow)
    high = to_float64((below + 1).astype(bits.dtype), narrow)
    step = high - low
    known = np.isfinite(step) & (step > 0.0) & (size > 0.0)
    t: Floats = (size[known] - low[known]) / step[known]
    return t
