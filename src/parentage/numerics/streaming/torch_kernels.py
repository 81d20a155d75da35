"""The counts of ``streaming.replay_kernels`` with torch (extra ``torch``), for a device with many cores.

Whole arrays, each step an operation of its own, so that no compiler fuses a product with a sum; roundings
to 16 bits are made of integers, so that no device's own conversion matters. The counts are the same
integers (``tests/methods/test_linear_device.py``). torch is imported when a device is asked for, and a
tensor is ``Any`` here: the core knows no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.streaming import replay_kernels as places
from parentage.numerics.streaming.replay_kernels import BF16, F16, F32, MARGIN, OFFSET_RANGE

__all__ = ["count_on_device", "decode_on_device", "fused", "narrow_on_device", "on_grid", "torch"]

Counts = NDArray[np.int64]

SIZE: Final = 0x7FFFFFFF
LOW_HALF: Final = 0xFFFF
SMALLEST_F16: Final = 0x38800000
BEYOND_F16: Final = 0x47800000
INFINITE: Final = 0x7F800000
DIGITS: Final = {BF16: 7, F16: 10, F32: 23}


def torch() -> Any:
    """The package; ``ImportError`` where it is not installed."""
    return import_module("torch")


def decode_on_device(row: NDArray[np.uint8], stored: int, n: int, device: str) -> Any:
    """[n] float32 on the device: the numbers of format ``stored`` that the row begins with, exactly."""
    t = torch()
    raw = np.array(row[: n * (4 if stored == F32 else 2)])
    if stored == F32:
        return t.from_numpy(raw.view(np.float32)).to(device)
    bits = t.from_numpy(raw.view(np.int16)).to(device)
    if stored == F16:
        return bits.view(t.float16).to(t.float32)
    return (bits.to(t.int32) << 16).view(t.float32)


def on_grid(x: Any, grid: int) -> Any:
    """float32, rounded to a format: nearest, ties to even, overflow to infinity; NaN stays."""
    if grid == F32:
        return x
    t = torch()
    bits = x.view(t.int32)
    near = _bf16(bits) if grid == BF16 else _f16(x, bits)
    return t.where(t.isnan(x), x, near.view(t.float32))


def _bf16(bits: Any) -> Any:
    return (bits + 0x7FFF + ((bits >> 16) & 1)) & ~LOW_HALF


def _f16(x: Any, bits: Any) -> Any:
    t = torch()
    size = bits & SIZE
    near = (size + 0xFFF + ((size >> 13) & 1)) & ~0x1FFF
    near = t.where(near >= BEYOND_F16, t.full_like(near, INFINITE), near)
    # Below 2**-14 the grid is even, 2**-24 apart, which is float32's own grid near 0.75.
    even = (x.abs() + 0.75) - 0.75
    near = t.where(size < SMALLEST_F16, even.view(t.int32), near)
    return near | (bits & ~SIZE)


def fused(total: Any, weight: float, x: Any) -> Any:
    """``weight * x + total``, rounded to float32 once: the product of two float32 is exact in float64, and
    a sum that is not goes to the neighbour whose last bit is odd, so that no tie comes into being."""
    t = torch()
    product, more = x.double() * weight, total.double()
    added = product + more
    back = added - product
    error = (product - (added - back)) + (more - back)
    inexact = t.isfinite(error) & (error != 0)
    bits = added.view(t.int64)
    shorter = (error > 0) != (added > 0)
    odd = (bits - shorter.to(t.int64)) | 1
    return t.where(inexact, odd.view(t.float64), added).to(t.float32)


def narrow_on_device(wide: Any, grid: int) -> Any:
    """float64 to float32 such that a rounding to ``grid`` afterwards is as if it had been the only one."""
    t = torch()
    near = wide.to(t.float32)
    if grid == F32:
        return near
    back = near.double()
    bits = near.view(t.int32) - (back.abs() > wide.abs()).to(t.int32)
    odd = t.where(back != wide, bits | 1, bits)
    return t.where(t.isnan(wide), near, odd.view(t.float32))


def count_on_device(
    replay: Any, own: Any, values: Sequence[Any], grid: int, weights: Sequence[float]
) -> Counts:
    """[COUNTS] of finite numbers: ``replay`` [n] the blend before its last rounding, ``own`` [n] the
    suspect's, ``values`` K times [n] the parents' as cast, ``weights`` [K] unrounded."""
    t = torch()
    replay = on_grid(replay, grid)
    moved = t.zeros_like(own, dtype=t.bool)
    for value in values[:-1]:
        moved |= value != values[-1]
    missed = replay != own
    counts = np.zeros(places.COUNTS, np.int64)
    counts[places.EXAMINED] = own.numel()
    misses = int(missed.sum())
    counts[places.MATCHES] = own.numel() - misses
    counts[places.INFORMATIVE] = int(moved.sum())
    counts[places.INFORMATIVE_MATCHES] = int((moved & ~missed).sum())
    counts[places.OFFSETS + OFFSET_RANGE] = own.numel() - misses
    if misses:
        kept = [value[missed] for value in values]
        counts[places.OFFSETS :] += _offsets(replay[missed], own[missed], grid)
        counts[places.BEYOND] = int(_beyond(own[missed], kept, grid, weights).sum())
    return counts


def _offsets(replay: Any, own: Any, grid: int) -> Counts:
    """[17] by distance in steps of numbers that are off the replay."""
    t = torch()
    away = t.where(own > replay, 1, -1)
    apart = _ordinal(on_grid(own, grid), grid) - _ordinal(replay, grid)
    steps = t.where(apart != 0, apart, away).clamp(-OFFSET_RANGE, OFFSET_RANGE) + OFFSET_RANGE
    found: Counts = t.bincount(steps, minlength=2 * OFFSET_RANGE + 1).cpu().numpy().astype(np.int64)
    return found


def _ordinal(x: Any, grid: int) -> Any:
    t = torch()
    bits = x.view(t.int32).to(t.int64)
    size = bits & SIZE
    code = size
    if grid == BF16:
        code = size >> 16
    elif grid == F16:
        normal = (size.clamp(max=BEYOND_F16) - 0x38000000) >> 13
        foot = size.clamp(max=SMALLEST_F16).to(t.int32).view(t.float32)
        code = t.where(size >= SMALLEST_F16, normal, (foot.double() * 2.0**24).to(t.int64))
    code = t.where(bits < 0, -code, code)
    return t.where(t.isnan(x), t.full_like(code, 1 << 40), code)


def _beyond(own: Any, values: Sequence[Any], grid: int, weights: Sequence[float]) -> Any:
    """Which are farther from the unrounded blend than half of the step at the largest operand."""
    t = torch()
    blend, top = t.zeros_like(own, dtype=t.float64), own.abs()
    for weight, value in zip(weights, values, strict=True):
        blend = blend + value.double() * weight
        top = t.maximum(top, value.abs())
    near, top = on_grid(own, grid), on_grid(top, grid)
    size, most = near.double().abs(), top.double()
    out = t.where(near > 0, blend, -blend) - size
    out = t.where(near == 0, blend.abs(), out)
    above, below = _step_above(size, grid), _step_below(size, grid)
    outside = t.maximum(out - above / 2, -out - below / 2)
    room = (_step_above(most, grid) + _step_below(most, grid)) / 4
    return (outside > room * MARGIN) & t.isfinite(near) & t.isfinite(top)


def _lowest(grid: int) -> int:
    return -14 if grid == F16 else -126


def _step_above(size: Any, grid: int) -> Any:
    t = torch()
    exponent = ((size.view(t.int64) >> 52) - 1023).clamp(min=_lowest(grid))
    return ((exponent - DIGITS[grid] + 1023) << 52).view(t.float64)


def _step_below(size: Any, grid: int) -> Any:
    t = torch()
    bits = size.view(t.int64)
    foot = ((bits & ((1 << 52) - 1)) == 0) & ((bits >> 52) - 1023 > _lowest(grid))
    step = _step_above(size, grid)
    return t.where(foot, step / 2, step)
