"""Models with one large tensor, written piece by piece, and the peak memory of commands on them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parentage.methods.linear import arithmetic
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType

__all__ = ["MEBIBYTE", "Large", "peak_mebibytes", "write_large"]

MEBIBYTE = 2**20
COLUMNS = 4096
PIECE = 2**20
NAMES = ("suspect", "first", "second")
# The status file's high-water mark counts mapped pages too, and a process's own from its start, which
# the resource usage that a parent is told does not.
PROGRAM = """
import sys
from parentage.cli.main import main
try:
    main()
finally:
    with open("/proc/self/status") as status, open({out!r}, "w") as out:
        out.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@dataclass(frozen=True, slots=True)
class Large:
    """A merge of two parents, each one file with one token embedding."""

    suspect: Path
    first: Path
    second: Path
    elements: int


def write_large(folder: Path, mebibytes: int, dtype: DType = DType.BF16) -> Large:
    """Three models of that size each; the suspect is .6 of the first and .4 of the second."""
    rows = mebibytes * MEBIBYTE // (COLUMNS * dtype.itemsize)
    elements = rows * COLUMNS
    paths = [folder / f"{name}.safetensors" for name in NAMES]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file in files:
            file.write(_header(rows, dtype))
        for start in range(0, elements, PIECE):
            for file, bits in zip(files, _piece(start, min(PIECE, elements - start), dtype), strict=True):
                file.write(bits.tobytes())
    return Large(*paths, elements)


def _header(rows: int, dtype: DType) -> bytes:
    size = rows * COLUMNS * dtype.itemsize
    entry = {"dtype": dtype.value, "shape": [rows, COLUMNS], "data_offsets": [0, size]}
    text = json.dumps({"model.embed_tokens.weight": entry}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _piece(start: int, count: int, dtype: DType) -> Iterator[NDArray[np.unsignedinteger]]:
    """Suspect, first and second: pseudo-random bits of the size of weights, parents some steps apart."""
    rng = np.random.default_rng([3, start])
    narrow = rng.integers(0, 2**16, count, dtype=np.uint16)
    # Any sign and mantissa, sizes from 2**-9 to 2**-5.
    exponent = np.uint16(118) + (rng.integers(0, 4, count, dtype=np.uint16))
    bits = (narrow & np.uint16(0x807F)) | (exponent << np.uint16(7))
    steps = rng.integers(-3, 4, count, dtype=np.int8)
    if dtype is DType.BF16:
        parents = [bits, (bits.astype(np.int32) + steps).astype(np.uint16)]
    else:
        fine = rng.integers(0, 2**16, (2, count), dtype=np.uint32)
        wide = bits.astype(np.uint32) << np.uint32(16)
        parents = [wide | fine[0], ((wide | fine[0]).astype(np.int64) + (steps << 4)).astype(np.uint32)]
    yield arithmetic("fp32-fma").apply((0.6, 0.4), [to_float32(p, dtype) for p in parents], out_dtype=dtype)
    yield from parents


def peak_mebibytes(folder: Path, *arguments: str | Path) -> float:
    """Run the command in a process of its own; fails when it fails."""
    out = folder / "peak"
    program = PROGRAM.format(out=str(out))
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(out.read_text()) / 1024
