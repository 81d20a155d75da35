"""What adds up when two models are compared: counts, squares, and a histogram of offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import ordinal, to_float64
from parentage.records.dtypes import DType

__all__ = ["Bits", "PairSums", "bin_of", "lower_end", "measure_pair"]

Bits = NDArray[np.unsignedinteger]
EXACT = 256
OCTAVE = EXACT // 2


@dataclass(frozen=True, slots=True)
class PairSums:
    """What adds up over parts. ``steps`` counts offsets by bin, ``fraction`` joins the bits that a
    float32 has beyond bf16, ``moment`` is the sum of squares of A about ``mean``."""

    examined: int = 0
    equal_bits: int = 0
    equal_values: int = 0
    first_not_finite: int = 0
    second_not_finite: int = 0
    finite: int = 0
    mean: float = 0.0
    moment: float = 0.0
    first_square: float = 0.0
    delta_square: float = 0.0
    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    largest: int = 0
    fraction: int = 0
    based: int = 0
    base_square: float = 0.0
    first_delta: float = 0.0
    second_delta: float = 0.0
    product: float = 0.0

    def __add__(self, other: PairSums) -> PairSums:
        finite = self.finite + other.finite
        apart = other.mean - self.mean
        share = other.finite / finite if finite else 0.0
        return PairSums(
            self.examined + other.examined,
            self.equal_bits + other.equal_bits,
            self.equal_values + other.equal_values,
            self.first_not_finite + other.first_not_finite,
            self.second_not_finite + other.second_not_finite,
            finite,
            self.mean + apart * share,
            self.moment + other.moment + apart * apart * share * self.finite,
            self.first_square + other.first_square,
            self.delta_square + other.delta_square,
            _joined(self.steps, other.steps),
            max(self.largest, other.largest),
            self.fraction | other.fraction,
            self.based + other.based,
            self.base_square + other.base_square,
            self.first_delta + other.first_delta,
            self.second_delta + other.second_delta,
            self.product + other.product,
        )

    def weighted(self, factor: float) -> PairSums:
        """The squares and products of deltas times ``factor``: a sample that stands for a tensor."""
        return replace(
            self,
            first_square=self.first_square * factor,
            delta_square=self.delta_square * factor,
            base_square=self.base_square * factor,
            first_delta=self.first_delta * factor,
            second_delta=self.second_delta * factor,
            product=self.product * factor,
        )


def _joined(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of two histograms, each as long as its last bin that is not empty."""
    long, short = (x, y) if x.size >= y.size else (y, x)
    total = long.copy()
    total[: short.size] += short
    return total


def measure_pair(bits: Sequence[Bits | None], dtypes: Sequence[DType | None]) -> PairSums:
    """Compare the storage bits [n] of the same elements of two models and, third, of their base.

    A base is optional and may be ``None``; the dtypes are all floating or all integer.
    """
    first, second, *base = (b for b in bits)
    x, y, *z = dtypes
    assert first is not None
    assert second is not None
    assert x is not None
    assert y is not None
    same = int(np.count_nonzero(first == second)) if x is y else 0
    if not x.is_float:
        agree = int(np.count_nonzero(_integers(first, x) == _integers(second, y)))
        return PairSums(examined=first.size, equal_bits=same, equal_values=agree)
    a, b = to_float64(first, x), to_float64(second, y)
    sums = replace(_sizes(a, b), equal_bits=same)
    if x is y:
        sums = _with_steps(sums, first, second, x, np.isfinite(a) & np.isfinite(b))
    if base and base[0] is not None and z[0] is not None:
        sums = _with_base(sums, a, b, to_float64(base[0], z[0]))
    return sums


def _integers(bits: Bits, dtype: DType) -> NDArray[np.int64] | NDArray[np.object_]:
    if dtype is DType.U64:
        # Values beyond 2**63 fit in no dtype together with negative ones.
        return bits.astype(object)
    if dtype.value.startswith("I"):
        return bits.view(f"<i{dtype.itemsize}").astype(np.int64)
    return bits.astype(np.int64)


def _sizes(a: NDArray[np.float64], b: NDArray[np.float64]) -> PairSums:
    known_a, known_b = np.isfinite(a), np.isfinite(b)
    used = known_a & known_b
    x, y = (a, b) if used.all() else (a[used], b[used])
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.mean(x)) if x.size else 0.0
        return PairSums(
            examined=a.size,
            equal_values=int(np.count_nonzero(a == b)),
            first_not_finite=a.size - int(np.count_nonzero(known_a)),
            second_not_finite=b.size - int(np.count_nonzero(known_b)),
            finite=x.size,
            mean=mean,
            moment=_square(x - mean),
            first_square=_square(x),
            delta_square=_square(y - x),
        )


def _square(x: NDArray[np.float64]) -> float:
    # numpy's pairwise summation does not depend on the thread count, a BLAS dot product may.
    return float(np.sum(x * x))


def _with_steps(
    sums: PairSums, first: Bits, second: Bits, dtype: DType, finite: NDArray[np.bool_]
) -> PairSums:
    if not finite.all():
        first, second = first[finite], second[finite]
    fraction = 0
    if dtype is DType.F32 and first.size:
        fraction = int(np.bitwise_or.reduce(first | second)) & 0xFFFF
    changed = first != second
    u, v = ordinal(first[changed], dtype), ordinal(second[changed], dtype)
    # As unsigned numbers: two float64 values can be more than 2**63 steps apart.
    low, high = np.minimum(u, v).view(np.uint64), np.maximum(u, v).view(np.uint64)
    steps = high - low
    counts = np.bincount(bin_of(steps), minlength=1).astype(np.int64)
    counts[0] += first.size - steps.size
    largest = int(steps.max()) if steps.size else 0
    return replace(sums, steps=counts, largest=largest, fraction=fraction)


def bin_of(steps: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Each number's bin: itself below 256, then 128 bins for each doubling."""
    length = np.frexp(steps.astype(np.float64))[1]
    shift = np.maximum(length - 8, 0).astype(np.uint64)
    head = steps >> shift
    # Conversion to float64 may round a number beyond 2**53 up to the next power of two.
    rounded = (shift > 0) & (head < OCTAVE)
    shift = np.where(rounded, shift - np.uint64(1), shift)
    head = np.where(rounded, steps >> shift, head).astype(np.int64)
    octave = shift.astype(np.int64)
    found: NDArray[np.int64] = np.where(octave == 0, head, EXACT + (octave - 1) * OCTAVE + head - OCTAVE)
    return found


def lower_end(index: int) -> int:
    """The smallest number in a bin."""
    if index < EXACT:
        return index
    octave, place = divmod(index - EXACT, OCTAVE)
    return (OCTAVE + place) << (octave + 1)


def _with_base(
    sums: PairSums, a: NDArray[np.float64], b: NDArray[np.float64], o: NDArray[np.float64]
) -> PairSums:
    used = np.isfinite(a) & np.isfinite(b) & np.isfinite(o)
    if not used.all():
        a, b, o = a[used], b[used], o[used]
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = a - o, b - o
        return replace(
            sums,
            based=o.size,
            base_square=_square(o),
            first_delta=_square(x),
            second_delta=_square(y),
            product=float(np.sum(x * y)),
        )
