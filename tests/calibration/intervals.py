"""Coverage at the likelihood's own level: each matrix of a planted merge, without an audit around it.

python -m tests.calibration.intervals --merges 60 --kinds dense rows --misses
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

from parentage.numerics.deciding.merge_test import compare
from parentage.numerics.storage.cells import rounding_cells
from tests.calibration.judging import Rate
from tests.calibration.merges import merge_world
from tests.worlds.planted import World, matrices, values_of
from tests.worlds.planted_changes import CHANGES

__all__ = ["Read", "covered", "read_weights"]

# As many elements as an audit gives the likelihoods, and runs of the length that it reads.
ELEMENTS, RUN = 8_192, 256
LEAST = 200


@dataclass(frozen=True, slots=True)
class Read:
    """One matrix: the planted weight of the first parent and what was read."""

    tensor: str
    truth: float
    estimate: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Does the interval hold the truth?"""
        return self.low <= self.truth <= self.high


def read_weights(planted: World) -> Iterator[Read]:
    """The replay likelihood's interval in each matrix that a change has touched."""
    (first, a_model), (_, b_model) = planted.parents
    truth = planted.truth.weights[first]
    for name in matrices(planted.suspect):
        one = {name: planted.suspect[name]}
        a, b, c = (values_of({name: m[name]})[name].ravel() for m in (a_model, b_model, one))
        chosen = np.flatnonzero(a != b)[:ELEMENTS]
        cells = rounding_cells(planted.suspect[name].bits, planted.suspect[name].dtype)
        if chosen.size < LEAST:
            continue
        found = compare(
            a[chosen],
            b[chosen],
            c[chosen],
            cells.low[chosen],
            cells.high[chosen],
            dtype=planted.suspect[name].dtype,
            rows=(chosen // RUN).astype(np.int32),
        )
        interval = found.replay.interval
        if interval is not None and found.replay.scale > 0.0:
            yield Read(name, truth, interval.estimate, interval.low, interval.high)


def covered(kind: str, seeds: range) -> tuple[Rate, list[Read]]:
    """Coverage over the merges of one kind, and every reading."""
    reads = [read for seed in seeds for read in read_weights(merge_world(kind, seed))]
    return Rate(sum(r.holds for r in reads), len(reads)), reads


def main() -> None:
    """Print coverage, width and bias by kind of change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--merges", type=int, default=20, help="planted merges of each kind")
    parser.add_argument("--kinds", nargs="+", choices=(*CHANGES, "real-steps"), default=CHANGES)
    parser.add_argument("--misses", action="store_true", help="print each interval that misses")
    asked = parser.parse_args()
    print("change       matrices  covered  95 %           width      bias  s each")
    for kind in asked.kinds:
        start = time.perf_counter()
        rate, reads = covered(kind, range(asked.merges))
        each = (time.perf_counter() - start) / max(rate.n, 1)
        low, high = rate.interval
        print(
            f"{kind:<12} {rate.n:>8}  {rate.share:>7.3f}  {low:.3f}-{high:.3f}"
            f"  {median(r.high - r.low for r in reads):>9.1e}"
            f" {mean(r.estimate - r.truth for r in reads):>9.1e}  {each:>6.2f}",
            flush=True,
        )
        for read in reads:
            if asked.misses and not read.holds:
                ends = f"[{read.low:.6f} {read.estimate:.6f} {read.high:.6f}]"
                print(f"  {read.tensor} α {read.truth:.6f} {ends}")


if __name__ == "__main__":
    main()
