"""What a sample of so many numbers a tensor sees, on the real family: the ground of the default.

    .venv/bin/python benchmarks/sample_power.py build/family [--samples 4096 16384 65536]
    .venv/bin/python benchmarks/sample_power.py build/family --changes "one layer" --weights .05 .5

Suspects: 0.6 A + 0.4 O (or other weights) in bfloat16, as it is; after a dense change of a thousandth of
the weights' spread, in all tensors, in those of one layer, or in one matrix; after 1 % of the numbers were
moved by whole grid steps. Each is audited with B as control, at each sample.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.methods.linear import arithmetic
from parentage.numerics.shares.intervals_binomial import smallest_detectable_share
from parentage.numerics.storage.formats import round_to, to_float32, to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Report

Bits = NDArray[np.unsignedinteger]
Change = Callable[[np.random.Generator, Bits], Bits]


def _dense(rng: np.random.Generator, bits: Bits) -> Bits:
    values = to_float64(bits, DType.BF16)
    spread = float(values.std())
    return round_to(values + 1e-3 * spread * rng.standard_normal(values.size), DType.BF16)


def _sparse(rng: np.random.Generator, bits: Bits) -> Bits:
    magnitude = (bits & np.uint16(0x7FFF)).astype(np.int64)
    steps = rng.integers(1, 4, bits.size) * rng.choice([-1, 1], bits.size)
    chosen = (rng.random(bits.size) < 0.01) & (magnitude > 4)
    moved = np.where(chosen, magnitude + steps, magnitude).astype(np.uint16)
    return np.asarray((bits & np.uint16(0x8000)) | moved)


# What was done to the numbers, and the tensors that it was done to.
CHANGES: dict[str, tuple[Change | None, str]] = {
    "none": (None, ""),
    "dense, 1e-3": (_dense, ""),
    "1 % by whole steps": (_sparse, ""),
    "one layer, 1e-3": (_dense, ".layer.3."),
    "one matrix, 1e-3": (_dense, ".layer.3.attention.self.value.weight"),
    "one layer, 1 % by whole steps": (_sparse, ".layer.3."),
}

HEAD = (
    "change",
    "weight",
    "sample",
    "said",
    "read",
    "σ over std",
    "nearest other arithmetic",
    "seen, one tensor",
    "MB read",
    "s",
)


def write_suspect(family: Path, folder: Path, name: str, weight: float) -> Path:
    """The merge, changed, as one safetensors file."""
    rng = np.random.default_rng(20260601)
    change, where = CHANGES[name]
    tensors = {}
    with open_checkpoint(family / "A") as a, open_checkpoint(family / "O") as o:
        for tensor, ref in a.tensors.items():
            if not ref.dtype.is_float:
                continue
            operands = [to_float32(m.read(tensor, 0, ref.elements), ref.dtype) for m in (a, o)]
            bits = arithmetic("fp32-sum").apply((weight, 1.0 - weight), operands, out_dtype=DType.BF16)
            if change is not None and where in tensor:
                bits = change(rng, bits)
            tensors[tensor] = StoredTensor(DType.BF16, tuple(ref.shape), bits)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
    return folder


def row(change: str, alpha: float, sample: int, report: Report, seconds: float) -> str:
    """One line of the table."""
    after, replay, weight = report.post_training, report.replay, report.verdict.parents
    first = weight[0].weight if weight else Absent("none")
    told = (
        "–" if isinstance(first, Absent) else f"{first.estimate:.6f} ± {(first.high - first.low) / 2:.0e}"
    )
    rival = "–"
    if not isinstance(replay, Absent) and replay.match == 1.0:
        others = [a.match for a in replay.alternatives if a.match < 1.0]
        rival = f"{(1 - max(others)) * 100:.4f} %" if others else "none told apart"
    largest = max((t.elements_examined for t in report.tensors), default=0)
    cells = (
        change,
        f"{alpha:g}",
        f"{sample:,}",
        f"{report.verdict.relation}, {after.status}",
        told,
        "–" if isinstance(after.sigma_relative, Absent) else f"{after.sigma_relative.estimate:.2e}",
        rival,
        f"{smallest_detectable_share(largest) * 100:.3g} %",
        f"{report.coverage.bytes_read / 1e6:.0f}",
        f"{seconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", type=Path)
    parser.add_argument("--samples", type=int, nargs="+", default=[4_096, 16_384, 65_536, 262_144])
    parser.add_argument("--changes", nargs="+", choices=tuple(CHANGES), default=tuple(CHANGES))
    parser.add_argument("--weights", type=float, nargs="+", default=[0.6])
    asked = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for k, (name, weight) in enumerate(product(asked.changes, asked.weights)):
            suspect = write_suspect(asked.family, Path(scratch) / str(k), name, weight)
            for sample in asked.samples:
                start = time.perf_counter()
                report = api.audit(
                    str(suspect),
                    parents=[str(asked.family / "A"), str(asked.family / "O")],
                    controls=[str(asked.family / "B")],
                    sample=sample,
                    digests=False,
                ).report
                print(row(name, weight, sample, report, time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
