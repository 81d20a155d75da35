"""Make the demonstration's suspect: 0.6 of A and 0.4 of O, stored in bfloat16.

The arithmetic is that of mergekit 0.1.5's linear method with ``dtype: bfloat16``: inputs cast to
bfloat16, a float32 accumulator with one fused multiply-add a model, one rounding at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.methods.linear import arithmetic
from parentage.numerics.storage.formats import round_to, to_float32, to_float64
from parentage.records.dtypes import DType

WEIGHTS = (0.6, 0.4)


def merge(first: Path, second: Path, out: Path) -> int:
    """Blend two checkpoints of one architecture; returns how many tensors were written."""
    rule = arithmetic("fp32-fma")
    tensors: dict[str, StoredTensor] = {}
    with open_checkpoint(str(first)) as a, open_checkpoint(str(second)) as b:
        for name, ref in a.tensors.items():
            bits = [m.read(name, 0, ref.elements) for m in (a, b)]
            if not ref.dtype.is_float:
                tensors[name] = StoredTensor(ref.dtype, tuple(ref.shape), bits[0])
                continue
            cast = [round_to(to_float64(x, ref.dtype), DType.BF16) for x in bits]
            operands = [to_float32(x, DType.BF16).astype(np.float32) for x in cast]
            blended = rule.apply(WEIGHTS, operands, out_dtype=DType.BF16)
            tensors[name] = StoredTensor(DType.BF16, tuple(ref.shape), blended)
    write_safetensors(out / "model.safetensors", tensors, {"format": "pt"})
    return len(tensors)


def main() -> None:
    """Merge A and O of the family folder into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    count = merge(given.family / "A", given.family / "O", given.out)
    print(f"merged {count} tensors into {given.out}: {WEIGHTS[0]} of A and {WEIGHTS[1]} of O, bfloat16")


if __name__ == "__main__":
    main()
