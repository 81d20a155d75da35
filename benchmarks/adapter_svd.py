"""Memory and time of one large layer's combination of adapters, cut back by singular values.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.adapter_svd adapter_ties_svd 4096 14336 64

Two random adapters of that rank over a matrix of zeros [rows, columns] that is never held, on one thread as
under the command line. Prints seconds and the process's peak resident memory in MB.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from parentage.methods.method import Parameters, Profile, Values
from parentage.methods.parameters import Addition, Additions, Factors
from parentage.methods.registry import method
from parentage.records.dtypes import DType

__all__ = ["main"]

CHUNK = 1 << 19


class _Zeros:
    """A base of zeros."""

    models, base, dtypes = 1, 0, (DType.BF16,)

    def __init__(self, rows: int, columns: int) -> None:
        self.shape, self.elements = (rows, columns), rows * columns

    def read(self, start: int, count: int) -> Values:
        return np.zeros((1, count), np.float32)

    def chunks(self, rows: bool = False) -> Iterator[tuple[int, Values]]:
        step = max(1, CHUNK // self.shape[1]) * self.shape[1]
        for start in range(0, self.elements, step):
            yield start, self.read(start, min(step, self.elements - start))


def _adapter(seed: int, rows: int, columns: int, rank: int) -> Addition:
    def read() -> Factors:
        rng = np.random.default_rng(seed)
        scale = np.float32(0.02)
        return (
            rng.standard_normal((rank, columns), np.float32) * scale,
            rng.standard_normal((rows, rank), np.float32) * scale,
        )

    return Addition(0.5, 2.0, read, str(seed))


def main() -> None:
    """Combine, and print what it took."""
    name, rows, columns, rank = sys.argv[1], *map(int, sys.argv[2:5])
    found = method(name)
    shared = {"density": 0.4} if any(d.name == "density" for d in found.parameters) else {}
    additions = Additions(tuple(_adapter(k, rows, columns, rank) for k in (1, 2)), (rank, rank))
    reader, profile = _Zeros(rows, columns), Profile("parentage-1", DType.BF16, DType.BF16)
    begin = time.perf_counter()
    rule = found.prepare(reader, Parameters((), shared, additions=additions), profile, "t")
    prepared = time.perf_counter() - begin
    for start, values in reader.chunks(rows=True):
        rule.apply(start, values)
    whole = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name} {rows} x {columns} rank {rank}: {prepared:.1f} s + {whole - prepared:.1f} s, {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
