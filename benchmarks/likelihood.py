"""Time of the two likelihoods, and the elements that the merge test needs.

    python benchmarks/likelihood.py --elements 16384 --repeats 3
    python benchmarks/likelihood.py --power

The first prints seconds for both likelihoods under both families, intervals included, on one
thread. The second prints the median merge test by number of elements and size of the change.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.deciding.merge_test import compare
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import quantize, round_to
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]

SD = 0.02

DELTAS = (0.001, 0.003, 0.01, 0.03)
SIGMAS = (0.0, 1e-4, 1e-3, 3e-3, 1e-2)


def planted(seed: int, n: int, relative: float, sigma: float) -> tuple[Floats, ...]:
    """Parents, suspect and its cells for a .6/.4 merge with a dense change."""
    rng = np.random.default_rng([seed, n])
    base = quantize(rng.normal(0.0, SD, n), DType.BF16)
    a, b = (quantize(base + rng.normal(0.0, relative * SD, n), DType.BF16) for _ in range(2))
    merge = quantize(0.6 * a + 0.4 * b, DType.BF16)
    c = quantize(merge + rng.normal(0.0, sigma * SD, n), DType.BF16)
    cells = rounding_cells(round_to(c, DType.BF16), DType.BF16)
    return a, b, c, cells.low, cells.high


def timing(n: int, repeats: int) -> None:
    """Seconds per comparison at each delta and change."""
    rows = (np.arange(n) // 256).astype(np.int32)
    compare(*planted(0, n, 0.01, 1e-3), dtype=DType.BF16, rows=rows)
    print("delta    sigma    seconds  alpha      merge test")
    for relative in DELTAS:
        for sigma in SIGMAS:
            world = planted(1, n, relative, sigma)
            taken = []
            for _ in range(repeats):
                start = time.perf_counter()
                found = compare(*world, dtype=DType.BF16, rows=rows)
                taken.append(time.perf_counter() - start)
            print(
                f"{relative:<8} {sigma:<8} {min(taken):<8.3f} {found.replay.alpha:<10.6f}"
                f" {found.delta_ll:.1f}"
            )


def power(repeats: int) -> None:
    """Median merge test by elements: where it passes 10 is what the decision needs."""
    print("delta    sigma    " + " ".join(f"{n:>8}" for n in (64, 128, 256, 512, 1024, 4096)))
    for relative in (0.003, 0.01):
        for sigma in (1e-3, 3e-3, 1e-2):
            medians = []
            for n in (64, 128, 256, 512, 1024, 4096):
                gains = [
                    compare(*planted(s, n, relative, sigma), dtype=DType.BF16, interval=False)
                    for s in range(repeats)
                ]
                medians.append(float(np.median([g.delta_ll for g in gains])))
            print(f"{relative:<8} {sigma:<8} " + " ".join(f"{m:>8.1f}" for m in medians))


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=int, default=16384)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--power", action="store_true")
    asked = parser.parse_args()
    if asked.power:
        power(max(asked.repeats, 9))
    else:
        timing(asked.elements, asked.repeats)


if __name__ == "__main__":
    main()
