"""The scalars that methods take from a whole tensor (sums, norms), under each profile's arithmetic.

Ours are float64 in eight lanes, lane i taking every eighth element: one order, whatever the chunks, on
every processor. A tool's are in ``torch_sums``.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.grids import scalar_on_grid
from parentage.methods.method import Profile, Values
from parentage.numerics.tool_order.torch_sums import TorchNorm, TorchSum
from parentage.records.dtypes import DType

__all__ = ["OurSum", "Total", "norm_of", "sum_in"]

LANES: Final = 8


class Total(Protocol):
    """A running scalar: feed numbers in order, in chunks of any size, then ask."""

    def add(self, x: Values) -> None: ...
    def result(self) -> np.float32: ...


@njit(cache=True, nogil=True, error_model="numpy")
def _add(lanes: NDArray[np.float64], x: Values, first: int, squared: bool) -> None:
    for i in range(x.size):
        y = np.float64(x[i])
        lanes[(first + i) % LANES] += y * y if squared else y


class OurSum:
    """The sum of numbers, or of their squares (``squared``), in float64."""

    def __init__(self, *, squared: bool = False) -> None:
        self._lanes, self._seen, self._squared = np.zeros(LANES), 0, squared

    def add(self, x: NDArray[np.floating]) -> None:
        """Feed the next numbers [m], float32 or float64."""
        _add(self._lanes, x, self._seen, self._squared)
        self._seen = (self._seen + x.size) % LANES

    @property
    def wide(self) -> float:
        """The sum in float64."""
        total = 0.0
        for lane in self._lanes.tolist():
            total += lane
        return total

    def result(self) -> np.float32:
        """The sum in float32."""
        return np.float32(self.wide)


class _OurNorm:
    def __init__(self) -> None:
        self._sum = OurSum(squared=True)

    def add(self, x: Values) -> None:
        self._sum.add(x)

    def result(self) -> np.float32:
        return np.float32(np.sqrt(self._sum.wide))


class _Stored:
    """A tool's scalar is itself a number of its dtype."""

    def __init__(self, inner: Total, dtype: DType) -> None:
        self._inner, self._dtype = inner, dtype

    def add(self, x: Values) -> None:
        self._inner.add(x)

    def result(self) -> np.float32:
        return scalar_on_grid(float(self._inner.result()), self._dtype)


def sum_in(profile: Profile, dtype: DType, n: int) -> Total:
    """The sum of ``n`` numbers of ``dtype``."""
    return OurSum() if profile.ours else _Stored(TorchSum(n, narrow=dtype is not DType.F32), dtype)


def norm_of(profile: Profile, dtype: DType) -> Total:
    """The Euclidean norm of numbers of ``dtype``."""
    return _OurNorm() if profile.ours else _Stored(TorchNorm(in_order=dtype is DType.F16), dtype)
