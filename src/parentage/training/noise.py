"""Gaussian noise that begins anew at each tensor: element k of every tensor gets the stream's number k.

So RandOpt's published code draws it (github.com/sunrainyg/RandOpt, ``utils/worker_extn.py``; arXiv
2603.12228): for each parameter a new generator with the same seed, numbers in the parameter's own dtype.
All deltas of one member are therefore beginnings of one stream. ``CounterNoise`` has that property with a
stream of our own; ``TorchNoise`` is torch's generator itself, whose stream differs between tensors of fewer
than 16 elements, those of 16 or more, and in the last 16 elements where their number is no multiple of 16.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType

__all__ = ["NOISES", "CounterNoise", "Noise", "TorchNoise"]

# Numbers of the stream that are kept: all matrices but embeddings begin within them. 64 MiB.
KEPT: Final = 1 << 24
STEP: Final = 1 << 16
# Tensors up to so many elements are kept by their size, for a model has many of one size.
KEPT_TENSOR: Final = 1 << 22


class Noise(Protocol):
    """The noise of one seed."""

    def values(self, elements: int, dtype: DType, start: int, count: int) -> NDArray[np.float32]:
        """Numbers ``start`` to ``start + count`` for a tensor of so many elements, on its dtype's grid."""

    def size(self, sigma: float, dtype: DType) -> float:
        """What the numbers are multiplied by, given σ."""


class CounterNoise:
    """splitmix64 of a counter (Steele, Lea & Flood 2014), two words a pair of normals (Box & Muller 1958).

    Any part can be drawn without those before it. Logarithm and cosine are numpy's: on another processor a
    number may differ in its last bit, before it is rounded to 16.
    """

    def __init__(self, seed: int) -> None:
        digest = hashlib.sha256(f"parentage noise {seed}".encode()).digest()
        self._key = np.uint64(int.from_bytes(digest[:8], "little"))
        self._kept = np.empty(0, np.float32)

    def values(self, elements: int, dtype: DType, start: int, count: int) -> NDArray[np.float32]:
        """The same for every number of elements and, before rounding, every dtype."""
        return _on_grid(self._normals(start, count), dtype)

    def size(self, sigma: float, dtype: DType) -> float:
        """σ in float32."""
        return float(np.float32(sigma))

    def _normals(self, start: int, count: int) -> NDArray[np.float32]:
        end = start + count
        if end > KEPT:
            return self._drawn(start, end)
        if end > self._kept.size:
            grown = -(-end // STEP) * STEP
            self._kept = np.concatenate([self._kept, self._drawn(self._kept.size, grown)])
        return self._kept[start:end]

    def _drawn(self, start: int, end: int) -> NDArray[np.float32]:
        """In steps, so that intermediate numbers stay small."""
        out = np.empty(end - start, np.float32)
        for at in range(start - start % 2, end, STEP):
            stop = min(end, at + STEP)
            pairs = np.arange(at // 2, -(-stop // 2), dtype=np.uint64)
            both = _pairs(self._key, pairs).reshape(-1)
            first = max(start, at)
            out[first - start : stop - start] = both[first - at : stop - at]
        return out


def _pairs(key: np.uint64, pairs: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Two normals a pair, [n, 2]."""
    one, other = (_mixed(key, 2 * pairs + np.uint64(k)) for k in (0, 1))
    # (0, 1] of 53 bits: its logarithm is finite.
    radius = np.sqrt(-2.0 * np.log(((one >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53))
    angle = 2.0 * np.pi * ((other >> np.uint64(11)).astype(np.float64) * 2.0**-53)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _mixed(key: np.uint64, counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = key + (counters + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return found


class TorchNoise:
    """``torch.randn(shape, dtype, generator)`` on the CPU, the generator sown anew for each tensor."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._torch = _torch()
        self._last: tuple[int, DType, NDArray[np.float32]] | None = None
        self._kept: dict[tuple[int, DType], NDArray[np.float32]] = {}

    def values(self, elements: int, dtype: DType, start: int, count: int) -> NDArray[np.float32]:
        """The whole tensor is drawn at once: the stream depends on its size."""
        key = (elements, dtype)
        if key in self._kept:
            return self._kept[key][start : start + count]
        if self._last is None or self._last[:2] != key:
            self._last = (*key, self._drawn(elements, dtype))
        if elements <= KEPT_TENSOR:
            self._kept[key] = self._last[2]
        return self._last[2][start : start + count]

    def size(self, sigma: float, dtype: DType) -> float:
        """σ on the dtype's grid, as torch 2.13 has it on a CPU (on a GPU it keeps σ in float32)."""
        return float(_on_grid(np.array([sigma], np.float32), dtype)[0])

    def _drawn(self, elements: int, dtype: DType) -> NDArray[np.float32]:
        torch = self._torch
        kinds = {DType.BF16: torch.bfloat16, DType.F16: torch.float16, DType.F32: torch.float32}
        generator = torch.Generator(device="cpu")
        generator.manual_seed(self._seed)
        drawn = torch.randn(elements, dtype=kinds[dtype], generator=generator)
        found: NDArray[np.float32] = drawn.float().numpy()
        return found


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            f"torch's own noise needs torch: {error}",
            code="runtime-missing",
            hint="pip install 'parentage[transformers]', or take --noise counter",
        ) from None
    return torch


def _on_grid(values: NDArray[np.float32], dtype: DType) -> NDArray[np.float32]:
    return values if dtype is DType.F32 else to_float32(round_to(values, dtype), dtype)


NOISES: Final[Mapping[str, Callable[[int], Noise]]] = {"counter": CounterNoise, "torch": TorchNoise}
