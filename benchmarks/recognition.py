"""Processor time of the search for merge methods, where no method replays: in its own units of the rest.

    python benchmarks/recognition.py --worlds 4 --rounds 3

Audits of fine-tunes, of averages of two and of merges changed afterwards, against a base and two other
fine-tunes, on one thread. By kind: seconds of the whole audit and of the search within it (medians), the
search over the rest, and the bytes read over the bytes of the models.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.evidence import measure
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

Weights = dict[str, NDArray[np.float64]]

KINDS = ("fine-tune", "changed-merge", "average")
SHAPES = {f"layers.{k}.w": (64 + 16 * k, 96) for k in range(4)}
SD = 0.02


def models_of(kind: str, seed: int) -> dict[str, Weights]:
    """A suspect, a base and two fine-tunes of it."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    base = {n: rng.normal(0.0, SD, s) for n, s in SHAPES.items()}

    def moved(start: Weights, size: float) -> Weights:
        return {n: v + rng.normal(0.0, size * SD, v.shape) for n, v in start.items()}

    first, second = (_kept(moved(base, 10 ** rng.uniform(-2.5, -1.5))) for _ in range(2))
    suspect = moved(base, 0.01)
    if kind != "fine-tune":
        merge = {n: 0.6 * first[n] + 0.4 * second[n] for n in SHAPES}
        later = moved(_kept(merge), 1e-3)
        suspect = later if kind == "changed-merge" else {n: (merge[n] + later[n]) / 2 for n in SHAPES}
    return {"suspect": suspect, "base": base, "first": first, "second": second}


def _kept(weights: Weights) -> Weights:
    """As they are read after they were stored."""
    return {
        n: to_float64(round_to(v.ravel(), DType.BF16), DType.BF16).reshape(v.shape)
        for n, v in weights.items()
    }


def audited(models: Mapping[str, Weights]) -> tuple[float, float, float]:
    """Seconds of the audit, of the search within it, and bytes read over bytes of the models."""
    spent = 0.0
    search: Any = measure.recognise_methods

    def timed(*given: Any, **named: Any) -> Any:
        nonlocal spent
        start = time.process_time()
        try:
            return search(*given, **named)
        finally:
            spent += time.process_time() - start

    with TemporaryDirectory(prefix="recognition-") as folder:
        paths = {n: str(Path(folder) / f"{n}.safetensors") for n in models}
        for name, weights in models.items():
            stored = {
                n: StoredTensor(DType.BF16, v.shape, round_to(v.ravel(), DType.BF16))
                for n, v in weights.items()
            }
            write_safetensors(Path(paths[name]), stored)
        size = sum(Path(p).stat().st_size for p in paths.values())
        setattr(measure, "recognise_methods", timed)  # noqa: B010 (a module's function, for a moment)
        try:
            start = time.process_time()
            parents = [paths[n] for n in ("base", "first", "second")]
            found = api.audit(paths["suspect"], parents=parents, workers=1, digests=False)
            whole = time.process_time() - start
        finally:
            setattr(measure, "recognise_methods", search)  # noqa: B010
    return whole, spent, found.evidence.coverage.bytes_read / size


def main() -> None:
    """Print a line a kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    audited(models_of(KINDS[1], 999))
    print(f"{'kind':<16}{'audit s':>8}{'search s':>10}{'over rest':>10}{'read':>8}")
    for kind in KINDS:
        rows = [audited(models_of(kind, seed)) for seed in range(asked.worlds) for _ in range(asked.rounds)]
        whole, spent, read = (median(column) for column in zip(*rows, strict=True))
        over = median(s / (w - s) for w, s, _ in rows)
        print(f"{kind:<16}{whole:>8.2f}{spent:>10.2f}{over:>10.2f}{read:>8.1f}")


if __name__ == "__main__":
    main()
