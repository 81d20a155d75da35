"""Compiled steps of a streaming replay: raw storage bits in, counts out, one cache-sized block at a time.

``decode`` gives a block's numbers, ``drop_not_finite`` closes the gaps, and ``count`` compares a blend with
the stored numbers. Each step is a loop without branches over float32 lanes, which LLVM vectorises; what
costs more (the histogram of offsets, the test against half a grid step) runs only on blocks where
something is off the replay. All results are integers, so no chunk, order or thread can move them.

A number *matches* when the blend, rounded to the suspect's format, equals it in value (zeros of both signs
are equal). It is *informative* when the parents, cast, are not all equal there. An *offset* is the
suspect's distance from the replay in steps of that format's grid; a stored number that lies between two
grid points (a float32 file that only seems to hold 16-bit numbers) is off by at least one. *Beyond
rounding* is what ``records.evidence.ReplayTensor`` says: off the replay, and farther from the unrounded
blend than half of the coarsest step among suspect and parents.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.storage.rounding_kernels import (
    bits_of,
    from_bits,
    on_bf16_grid,
    on_f16_grid,
    to_odd,
)
from parentage.records.dtypes import DType

__all__ = [
    "BEYOND",
    "BLOCK",
    "COUNTS",
    "EXAMINED",
    "FORMATS",
    "INFORMATIVE",
    "INFORMATIVE_MATCHES",
    "MATCHES",
    "OFFSETS",
    "OFFSET_RANGE",
    "count",
    "count_clean",
    "decode",
    "drop_not_finite",
    "narrow",
]

Values = NDArray[np.float32]
Wide = NDArray[np.float64]
Flags = NDArray[np.int32]
Counts = NDArray[np.int64]

# Elements of a block: three operands as float32 fit the first-level cache (32 KB).
BLOCK: Final = 2048
BF16: Final = 0
F16: Final = 1
F32: Final = 2
# The formats that are decoded and rounded to here, and their codes; -1 stands for "no cast".
FORMATS: Final[dict[DType, int]] = {DType.BF16: BF16, DType.F16: F16, DType.F32: F32}

# Offsets are counted from -8 to +8 grid steps; the end bins are open.
OFFSET_RANGE: Final = 8
# Places in the array of counts.
EXAMINED: Final = 0
MATCHES: Final = 1
INFORMATIVE: Final = 2
INFORMATIVE_MATCHES: Final = 3
BEYOND: Final = 4
OFFSETS: Final = 5
COUNTS: Final = OFFSETS + 2 * OFFSET_RANGE + 1

INFINITE: Final = np.uint32(0x7F800000)
SIZE: Final = np.uint32(0x7FFFFFFF)
# Ties with half a step are dyadic: this much above it keeps float64's own rounding out of the count.
MARGIN: Final = 1 + 1e-6


@njit(cache=True, nogil=True, error_model="numpy")
def decode(raw: NDArray[np.uint8], stored: int, cast: int, n: int, out: Values) -> bool:
    """Decode ``n`` numbers of format ``stored`` exactly, then round them to ``cast`` (-1: not at all).

    ``raw`` is aligned to its format. True when all are finite.
    """
    if stored == F32:
        largest = _decode_f32(raw, n, out)
    elif stored == F16:
        largest = _decode_f16(raw, n, out)
    else:
        largest = _decode_bf16(raw, n, out)
    if cast >= 0:
        _to_grid(cast, n, out)
        for i in range(n):
            largest = max(largest, np.uint32(bits_of(out[i]) & SIZE))
    return bool(largest < INFINITE)


@njit(cache=True, nogil=True, error_model="numpy")
def _decode_bf16(raw: NDArray[np.uint8], n: int, out: Values) -> np.uint32:
    """Decode; the largest magnitude's pattern."""
    bits, largest = raw.view(np.uint16), np.uint32(0)
    for i in range(n):
        wide = np.uint32(np.uint32(bits[i]) << np.uint32(16))
        out[i] = from_bits(wide)
        largest = max(largest, np.uint32(wide & SIZE))
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _decode_f32(raw: NDArray[np.uint8], n: int, out: Values) -> np.uint32:
    bits, largest = raw.view(np.uint32), np.uint32(0)
    for i in range(n):
        out[i] = from_bits(bits[i])
        largest = max(largest, np.uint32(bits[i] & SIZE))
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _decode_f16(raw: NDArray[np.uint8], n: int, out: Values) -> np.uint32:
    bits, largest = raw.view(np.uint16), np.uint32(0)
    for i in range(n):
        wide = np.uint32(bits[i])
        sign = np.uint32(np.uint32(wide & np.uint32(0x8000)) << np.uint32(16))
        size = np.uint32(np.uint32(wide & np.uint32(0x7FFF)) << np.uint32(13))
        # Exponents of binary16 read as float32's are 2**-112 too small, subnormals included.
        small = bits_of(from_bits(size) * np.float32(2.0**112))
        value = np.uint32(size | INFINITE) if size >= np.uint32(0x0F800000) else small
        out[i] = from_bits(value | sign)
        largest = max(largest, value)
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _to_grid(grid: int, n: int, values: Values) -> None:
    """Round in place to a format: nearest, ties to even."""
    if grid == BF16:
        for i in range(n):
            values[i] = on_bf16_grid(values[i])
    elif grid == F16:
        for i in range(n):
            values[i] = on_f16_grid(values[i])


@njit(cache=True, nogil=True, error_model="numpy")
def narrow(wide: Wide, grid: int, n: int, out: Values) -> None:
    """float64 to float32 such that a rounding to ``grid`` afterwards is as if it had been the only one."""
    if grid == F32:
        for i in range(n):
            out[i] = np.float32(wide[i])
    else:
        for i in range(n):
            out[i] = to_odd(wide[i])


@njit(cache=True, nogil=True, error_model="numpy")
def drop_not_finite(values: Values, own: Values, n: int) -> int:
    """Close the gaps that elements leave which are NaN or infinite in any model; how many remain."""
    kept = 0
    for i in range(n):
        finite = np.isfinite(own[i])
        for k in range(values.shape[0]):
            finite &= np.isfinite(values[k, i])
        if finite:
            own[kept] = own[i]
            for k in range(values.shape[0]):
                values[k, kept] = values[k, i]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def count(
    replay: Values,
    own: Values,
    values: Values,
    n: int,
    grid: int,
    weights: Wide,
    counts: Counts,
    moved: Flags,
) -> None:
    """Add ``n`` finite elements to ``counts``; overwrites its blocks.

    ``replay`` [n] the blend before its last rounding, ``own`` [n] the suspect's numbers, ``values``
    [K, n] the parents' as cast, ``weights`` [K] unrounded, ``moved`` [n] room.
    """
    misses, informative = _misses(replay, own, n, grid), _informative(values, n, moved)
    counts[EXAMINED] += n
    counts[MATCHES] += n - misses
    counts[INFORMATIVE] += informative
    counts[INFORMATIVE_MATCHES] += informative
    counts[OFFSETS + OFFSET_RANGE] += n - misses
    if misses:
        _gather_misses(replay, own, values, n)
        counts[INFORMATIVE_MATCHES] -= _informative(values, misses, moved)
        _add_offsets(replay, own, misses, grid, counts)
        counts[BEYOND] += _beyond_rounding(own, values, misses, grid, weights)


@njit(cache=True, nogil=True, error_model="numpy")
def count_clean(n: int, informative: int, counts: Counts) -> None:
    """Add ``n`` finite elements that all match."""
    counts[EXAMINED] += n
    counts[MATCHES] += n
    counts[INFORMATIVE] += informative
    counts[INFORMATIVE_MATCHES] += informative
    counts[OFFSETS + OFFSET_RANGE] += n


@njit(cache=True, nogil=True, error_model="numpy")
def _misses(replay: Values, own: Values, n: int, grid: int) -> int:
    """Round the blend in place; how many of the suspect's numbers it is not."""
    misses = np.int32(0)
    if grid == BF16:
        for i in range(n):
            replay[i] = on_bf16_grid(replay[i])
            misses = np.int32(misses + np.int32(replay[i] != own[i]))
        return int(misses)
    _to_grid(grid, n, replay)
    for i in range(n):
        misses = np.int32(misses + np.int32(replay[i] != own[i]))
    return int(misses)


@njit(cache=True, nogil=True, error_model="numpy")
def _informative(values: Values, n: int, moved: Flags) -> int:
    """How many elements differ between the parents; ``moved`` [n] is room."""
    last, total = values.shape[0] - 1, np.int32(0)
    if last == 1:
        for i in range(n):
            total = np.int32(total + np.int32(values[0, i] != values[1, i]))
        return int(total)
    moved[:n] = np.int32(0)
    for k in range(last):
        for i in range(n):
            moved[i] |= np.int32(values[k, i] != values[last, i])
    for i in range(n):
        total = np.int32(total + moved[i])
    return int(total)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_misses(replay: Values, own: Values, values: Values, n: int) -> None:
    """Bring the elements off the replay to the front."""
    places, misses = np.empty(n, np.int32), 0
    for i in range(n):
        places[misses] = i
        misses += replay[i] != own[i]
    for j in range(misses):
        replay[j], own[j] = replay[places[j]], own[places[j]]
    for k in range(values.shape[0]):
        for j in range(misses):
            values[k, j] = values[k, places[j]]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_offsets(replay: Values, own: Values, n: int, grid: int, counts: Counts) -> None:
    """Count ``n`` elements off the replay by their distance in steps."""
    near, steps = own[:n].copy(), np.empty(n, np.int64)
    _to_grid(grid, n, near)
    for i in range(n):
        away = 1 if own[i] > replay[i] else -1
        apart = _ordinal(near[i], grid) - _ordinal(replay[i], grid)
        steps[i] = min(max(apart if apart != 0 else away, -OFFSET_RANGE), OFFSET_RANGE)
    for i in range(n):
        counts[OFFSETS + OFFSET_RANGE + steps[i]] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _ordinal(x: np.float32, grid: int) -> np.int64:
    """A monotone integer for a number on the grid; both zeros are 0, infinity follows the largest, NaN
    lies far above, whatever its sign."""
    bits = np.int64(bits_of(x))
    size = bits & np.int64(0x7FFFFFFF)
    code = size
    if grid == BF16:
        code = size >> 16
    elif grid == F16:
        # Binary16 has its infinity where this scale has 65536.
        normal = min(size, np.int64(0x47800000)) - np.int64(0x38000000)
        subnormal = np.int64(np.float64(from_bits(np.uint32(min(size, np.int64(0x38800000))))) * 2.0**24)
        code = normal >> 13 if size >= np.int64(0x38800000) else subnormal
    code = -code if bits >= np.int64(0x80000000) else code
    return np.int64(1 << 40) if np.isnan(x) else code


@njit(cache=True, nogil=True, error_model="numpy")
def _step_above(size: float, digits: int, lowest: int) -> float:
    """From a number on a grid to the next one away from zero; ``digits`` after the point of a normal
    number, ``lowest`` exponent of one."""
    exponent = (np.float64(size).view(np.int64) >> np.int64(52)) - np.int64(1023)
    exponent = np.int64(lowest) if exponent < lowest else exponent
    return np.int64((exponent - digits + np.int64(1023)) << np.int64(52)).view(np.float64)


@njit(cache=True, nogil=True, error_model="numpy")
def _step_below(size: float, digits: int, lowest: int) -> float:
    """From a number on a grid to the next one towards zero: half as far at the foot of a binade."""
    bits = np.float64(size).view(np.int64)
    foot = ((bits & np.int64((1 << 52) - 1)) == 0) & ((bits >> 52) - 1023 > lowest)
    step = _step_above(size, digits, lowest)
    return step / 2 if foot else step


@njit(cache=True, nogil=True, error_model="numpy")
def _beyond_rounding(own: Values, values: Values, n: int, grid: int, weights: Wide) -> int:
    """How many of ``n`` elements are farther from the unrounded blend than half of the step at the
    largest operand."""
    digits = 7 if grid == BF16 else (10 if grid == F16 else 23)
    lowest = -14 if grid == F16 else -126
    blend, top, near = np.zeros(n), np.abs(own[:n]), own[:n].copy()
    for k in range(values.shape[0]):
        for i in range(n):
            blend[i] += weights[k] * np.float64(values[k, i])
            top[i] = max(top[i], abs(values[k, i]))
    _to_grid(grid, n, near)
    _to_grid(grid, n, top)
    beyond = 0
    for i in range(n):
        size, most = abs(np.float64(near[i])), np.float64(top[i])
        # Positive when the blend lies farther from zero than the number does.
        out = blend[i] - size if near[i] > 0 else -blend[i] - size
        out = abs(blend[i]) if near[i] == 0 else out
        above, below = _step_above(size, digits, lowest), _step_below(size, digits, lowest)
        outside = max(out - above / 2, -out - below / 2)
        room = (_step_above(most, digits, lowest) + _step_below(most, digits, lowest)) / 4
        beyond += (outside > room * MARGIN) & np.isfinite(near[i]) & np.isfinite(top[i])
    return beyond
