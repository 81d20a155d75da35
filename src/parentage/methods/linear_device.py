"""The rules of ``methods.linear`` with torch, for a full pass on a device; the same bits.

Each product, sum and rounding is an operation of its own. A divisor is a tensor: a number on its own would
be turned into a factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.methods.linear import (
    FP64,
    FUSED,
    LERP_FROM_FIRST,
    LERP_FROM_SECOND,
    MERGEKIT_014,
    SCALAR_16,
    SUM,
    TASK_16,
    TORCH_LERP,
    narrow_format,
)
from parentage.methods.linear_stream import LinearStream
from parentage.numerics.streaming.replay_kernels import FORMATS
from parentage.numerics.streaming.torch_kernels import (
    count_on_device,
    decode_on_device,
    fused,
    narrow_on_device,
    on_grid,
    torch,
)

__all__ = ["DeviceStream"]


@dataclass(frozen=True, slots=True)
class DeviceStream:
    """A recipe as ``LinearStream`` states it, counted on a device of torch's (``cuda``, ``cpu``)."""

    stream: LinearStream
    device: str

    def count(self, raw: NDArray[np.uint8], elements: int) -> NDArray[np.int64]:
        """Counts [COUNTS] over ``elements`` of ``raw`` [1 + K, bytes], as ``LinearStream.count``."""
        t, stream = torch(), self.stream
        grid = FORMATS[stream.out]
        formats = [FORMATS[d] for d in stream.stored]
        own, *values = [
            decode_on_device(row, stored, elements, self.device)
            for row, stored in zip(raw, formats, strict=True)
        ]
        if stream.cast is not None:
            values = [on_grid(value, FORMATS[stream.cast]) for value in values]
        finite = t.isfinite(own)
        for value in values:
            finite &= t.isfinite(value)
        if not bool(finite.all()):
            own, values = own[finite], [value[finite] for value in values]
        params = [float(x) for x in stream.arithmetic.params(stream.weights, stream.out)]
        narrow = FORMATS[narrow_format(stream.out)]
        blended = _blend(stream.arithmetic.rule, params, values, narrow)
        if stream.arithmetic.rule == FP64:
            blended = narrow_on_device(blended, grid)
        return count_on_device(blended, own, values, grid, stream.weights)


def _blend(rule: int, params: Sequence[float], values: Sequence[Any], narrow: int) -> Any:
    """[n], float64 for ``FP64`` and else float32, not rounded yet; ``narrow``: the 16-bit format."""
    if rule in (SUM, FUSED, MERGEKIT_014):
        return _accumulated(rule, params, values, narrow)
    if rule == FP64:
        return _fp64(params, values)
    if rule == LERP_FROM_SECOND:
        return _lerp(params[0], values[1], values[0])
    if rule == LERP_FROM_FIRST:
        return _lerp(params[1], values[0], values[1])
    if rule == TORCH_LERP:
        return _torch_lerp(params, values)
    assert rule in (SCALAR_16, TASK_16)
    return _scalar_16(params, values, narrow) if rule == SCALAR_16 else _task_16(params, values, narrow)


def _accumulated(rule: int, params: Sequence[float], values: Sequence[Any], narrow: int) -> Any:
    t = torch()
    total = t.full_like(values[0], -0.0 if rule == SUM else 0.0)
    for weight, value in zip(params, values, strict=False):
        if rule == FUSED:
            total = fused(total, weight, value)
        else:
            product = value * weight
            total = total + (on_grid(product, narrow) if rule == MERGEKIT_014 else product)
    if rule == MERGEKIT_014:
        total = on_grid(total, narrow)
    if np.float32(params[-1]) == 1:
        return total
    total = total / t.full_like(total, params[-1])
    return on_grid(total, narrow) if rule == MERGEKIT_014 else total


def _fp64(params: Sequence[float], values: Sequence[Any]) -> Any:
    total = torch().zeros_like(values[0], dtype=torch().float64)
    for weight, value in zip(params, values, strict=False):
        total = total + value.double() * weight
    return total


def _lerp(weight: float, start: Any, end: Any) -> Any:
    return start + (end - start) * weight


def _torch_lerp(params: Sequence[float], values: Sequence[Any]) -> Any:
    weight = np.float32(params[0])
    if weight < np.float32(0.5):
        return _lerp(float(weight), values[1], values[0])
    rest = float(np.float32(np.float32(1) - weight))
    return values[0] - (values[0] - values[1]) * rest


def _scalar_16(params: Sequence[float], values: Sequence[Any], narrow: int) -> Any:
    total = on_grid(values[0] * params[0], narrow)
    for weight, value in zip(params[1:], values[1:], strict=False):
        total = on_grid(total + on_grid(value * weight, narrow), narrow)
    return total


def _task_16(params: Sequence[float], values: Sequence[Any], narrow: int) -> Any:
    """The base is the last operand."""
    base, total = values[-1], torch().zeros_like(values[0])
    for weight, value in zip(params, values[:-1], strict=False):
        delta = on_grid(value - base, narrow)
        total = on_grid(total + on_grid(delta * weight, narrow), narrow)
    return on_grid(base + total, narrow)
