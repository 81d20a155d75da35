"""Arithmetic in a tool's dtype: each operation in float32, then rounded to the dtype; scalars too.

torch computes 16-bit tensors so on CPUs. A number that multiplies or divides a tensor stays float32; one
that is added to it, or bounds it, is rounded to the tensor's dtype first. In float32, and in our
arithmetic, nothing is rounded and only the order of sums tells the two apart. Sines and their like are the
float64 function's, rounded once; torch's vector library rounds otherwise in 5 to 9 of 100 arguments, by one
unit in the last place, which shows where D is float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from parentage.methods.grids import on_grid, scalar_on_grid
from parentage.methods.method import Profile, Values
from parentage.methods.task_vectors import compute_dtype
from parentage.methods.totals import Total, norm_of, sum_in
from parentage.records.dtypes import DType

__all__ = ["Algebra"]

# A float32 array or scalar.
Number = Any


@dataclass(frozen=True, slots=True)
class Algebra:
    """Operations of one profile on float32 arrays and scalars that lie on its dtype's grid."""

    profile: Profile
    dtype: DType

    @classmethod
    def of(cls, profile: Profile) -> Algebra:
        """The algebra that a profile computes in."""
        return cls(profile, compute_dtype(profile))

    def q(self, x: Number) -> Number:
        """Rounded to the dtype: arrays stay arrays, scalars scalars."""
        if np.ndim(x) == 0:
            return scalar_on_grid(float(x), self.dtype)
        return on_grid(x, self.dtype)

    def add(self, x: Number, y: Number) -> Number:
        """x + y."""
        with np.errstate(all="ignore"):
            return self.q(x + y)

    def sub(self, x: Number, y: Number) -> Number:
        """x - y."""
        with np.errstate(all="ignore"):
            return self.q(x - y)

    def mul(self, x: Number, y: Number) -> Number:
        """x * y."""
        with np.errstate(all="ignore"):
            return self.q(x * y)

    def div(self, x: Number, y: Number) -> Number:
        """x / y."""
        with np.errstate(all="ignore"):
            return self.q(np.divide(x, y))

    def function(self, f: Callable[[float], float], x: np.float32) -> np.float32:
        """A function of one scalar; NaN outside of its domain."""
        try:
            return np.float32(self.q(np.float32(f(float(x)))))
        except (ValueError, OverflowError):
            return np.float32(math.nan)

    def functions(self, f: Callable[[float], float], x: Values) -> Values:
        """The function of each of [n] scalars."""
        found: Values = np.array([self.function(f, one) for one in x], np.float32)
        return found

    def sum(self, n: int) -> Total:
        """A running sum of ``n`` numbers, rounded at its end."""
        return sum_in(self.profile, self.dtype, n)

    def norm(self) -> Total:
        """A running Euclidean norm, rounded at its end."""
        return norm_of(self.profile, self.dtype)

    def sum_of(self, x: Values) -> np.float32:
        """The sum of a row in memory."""
        total = self.sum(x.size)
        total.add(np.ascontiguousarray(x))
        return total.result()

    def norm_of(self, x: Values) -> np.float32:
        """The norm of a row in memory."""
        total = self.norm()
        total.add(np.ascontiguousarray(x))
        return total.result()
