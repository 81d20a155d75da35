"""Coverage of the 95 % interval of α over planted merges with a later change.

Each world is 64 blocks of 256 elements: a base of standard deviation .02, two fine-tunes whose
deltas are partly low-rank, a float32 merge stored in bf16, and a change of one kind on top.

    python benchmarks/coverage.py --n-merges 60 --kinds dense t3 rows sparse low-rank
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihood import compare
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

BLOCKS, WIDTH, SD = 64, 256, 0.02
ALPHAS = (0.05, 0.25, 0.5, 0.75, 0.95, None)


@dataclass(frozen=True)
class World:
    """Decoded parents and suspect ``[n]``, the suspect's cells, the truth."""

    a: Floats
    b: Floats
    c: Floats
    low: Floats
    high: Floats
    alpha: float
    sigma: float


def to_bf16(values: NDArray[np.floating]) -> Singles:
    """Round to bf16, nearest, ties to even; the result as float32."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def bf16_cells(values: Singles) -> tuple[Floats, Floats]:
    """Edges of each value's rounding cell."""
    step = np.uint32(0x10000)
    size = np.abs(values)
    bits = size.view(np.uint32)
    up = (bits + step).view(np.float32).astype(np.float64)
    down = np.where(bits >= step, (np.maximum(bits, step) - step).view(np.float32), -up)
    inner, outer = (size + down) / 2.0, (size + up) / 2.0
    positive = values >= 0
    return np.where(positive, inner, -outer), np.where(positive, outer, -inner)


def delta(rng: np.random.Generator, relative: float) -> Floats:
    """A fine-tune's change: half dense, half of rank 8, ``relative`` of the weights' norm."""
    dense = rng.normal(size=(BLOCKS, WIDTH))
    low_rank = rng.normal(size=(BLOCKS, 8)) @ rng.normal(size=(8, WIDTH)) / np.sqrt(8.0)
    share = rng.uniform(0.0, 0.7)
    mixed = np.sqrt(1.0 - share) * dense + np.sqrt(share) * low_rank
    return mixed * (relative * SD)


def additive(kind: str) -> Callable[[np.random.Generator], Floats]:
    """A change of unit scale, ``[BLOCKS, WIDTH]``."""
    shape = (BLOCKS, WIDTH)

    def draw(rng: np.random.Generator) -> Floats:
        if kind == "dense":
            return rng.normal(size=shape)
        if kind == "t3":
            return rng.standard_t(3, size=shape)
        if kind == "rows":
            return rng.normal(size=shape) * rng.lognormal(0.0, 0.7, size=(BLOCKS, 1))
        return rng.normal(size=(BLOCKS, 4)) @ rng.normal(size=(4, WIDTH)) / 2.0

    return draw


def changed(rng: np.random.Generator, merge: Singles, kind: str, sigma: float) -> Singles:
    """The merge after its change: whole grid steps for ``sparse-*``, else an added variate."""
    if not kind.startswith("sparse"):
        return to_bf16(merge + additive(kind)(rng) * (sigma * SD))
    share = float(kind.removeprefix("sparse-")) / 100.0
    moved = rng.random(merge.shape) < share
    steps = rng.integers(1, 4, size=merge.shape) * rng.choice([-1, 1], size=merge.shape)
    bits = np.ascontiguousarray(merge).view(np.uint32).astype(np.int64)
    # A bf16's neighbours differ by 1 in its upper half; a magnitude never passes zero here.
    room = (bits & 0x7FFFFFFF) > 4 * 0x10000
    bits = np.where(moved & room, bits + steps * 0x10000, bits)
    return bits.astype(np.uint32).view(np.float32)


def plant(rng: np.random.Generator, kind: str) -> World:
    """One merge with a later change of ``kind``."""
    choice = ALPHAS[rng.integers(len(ALPHAS))]
    alpha = float(rng.uniform(0.02, 0.98)) if choice is None else choice
    base = to_bf16(rng.normal(0.0, SD, size=(BLOCKS, WIDTH)))
    relative = 10.0 ** rng.uniform(-3.0, np.log10(0.03), size=2)
    a, b = (to_bf16(base + delta(rng, r)) for r in relative)
    merge = to_bf16(np.float32(alpha) * a + np.float32(1.0 - alpha) * b)
    sigma = float(10.0 ** rng.uniform(-4.0, -2.0))
    c = changed(rng, merge, kind, sigma)
    low, high = bf16_cells(c)
    flat = [x.astype(np.float64).ravel() for x in (a, b, c, low, high)]
    return World(*flat, alpha, sigma)


def main() -> None:
    """Print coverage, width and bias by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-merges", type=int, default=60, help="planted merges a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=["dense", "t3", "rows", "low-rank", "sparse-1", "sparse-10", "sparse-48"],
    )
    parser.add_argument("--misses", action="store_true", help="print each interval that misses")
    asked = parser.parse_args()
    print("kind       covered  below  above     width    median       bias  s each")
    for kind in asked.kinds:
        print(summary(kind, asked.n_merges, asked.seed, misses=asked.misses), flush=True)


def summary(kind: str, n_merges: int, seed: int, *, misses: bool) -> str:
    """One line of the table."""
    rows = np.repeat(np.arange(BLOCKS, dtype=np.int32), WIDTH)
    below, above = 0, 0
    widths: list[float] = []
    errors: list[float] = []
    start = time.perf_counter()
    for k in range(n_merges):
        w = plant(np.random.default_rng([seed, k, seed_word(kind)]), kind)
        found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, rows=rows).replay.interval
        assert found is not None
        below += found.high < w.alpha
        above += found.low > w.alpha
        widths.append(found.high - found.low)
        errors.append(found.estimate - w.alpha)
        if misses and not found.low <= w.alpha <= found.high:
            ends = f"[{found.low:.6f} {found.estimate:.6f} {found.high:.6f}]"
            size = np.std(w.a - w.b) / SD
            print(f"  #{k} α {w.alpha:.6f} {ends} σ {w.sigma:.1e} delta {size:.4f}")
    each = (time.perf_counter() - start) / n_merges
    return (
        f"{kind:<10} {1.0 - (below + above) / n_merges:>7.3f} {below:>6} {above:>6}"
        f" {np.mean(widths):>9.5f} {np.median(widths):>9.6f} {np.mean(errors):>10.2e} {each:>7.2f}"
    )


def seed_word(kind: str) -> int:
    """A seed word that does not depend on the interpreter's hash seed."""
    return int.from_bytes(kind.encode()[:8], "little") % (2**31)


if __name__ == "__main__":
    main()
