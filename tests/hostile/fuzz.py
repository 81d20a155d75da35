"""Fuzzing of the readers of headers: mutate small files of every format, open them and read a little.

    python -m tests.hostile.fuzz [--minutes 5] [--seed 0] [--keep]

What is neither read nor refused by an error of our own, or takes a second of the processor or 64 MiB, is a
fault: it is kept in ``tests/hostile/found``, and the command ends with 1. ``--keep`` keeps the smallest
file too of each code by which a reader refused mutated ones: a test holds later readers to it.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError
from tests.hostile.gguf import GGUF_LIES, simple_gguf
from tests.hostile.headers import LIES, simple
from tests.hostile.onnx_files import GOOD as GOOD_ONNX
from tests.hostile.torch_files import GOOD as GOOD_TORCH

__all__ = ["FOUND", "NAMES", "Fault", "examined", "main"]

FOUND = Path(__file__).parent / "found"
NAMES = {
    "safetensors": "model.safetensors",
    "gguf": "model.gguf",
    "torch": "model.pt",
    "onnx": "model.onnx",
}
SECONDS, MEMORY, LONGEST = 1.0, 64 * 2**20, 4096
# Numbers at which readers of sizes, counts and offsets turn.
EDGES = tuple(v % 2**64 for k in (7, 8, 15, 16, 31, 32, 53, 62, 63, 64) for v in (2**k - 1, 2**k, -(2**k)))
WORDS = (b"0", b"-1", b"1e9", b"[]", b"{}", b"null", b'"', b"9" * 40, b"\\u0000", b"\xff", b"../")


class Fault(Exception):
    """A file that is neither read nor refused as it should be."""


def examined(path: Path) -> str:
    """The code of the error that refused it; empty where it opened. Raises ``Fault``."""
    tracemalloc.start()
    began = time.process_time()
    code = ""
    try:
        with open_checkpoint(path) as checkpoint:
            for name, ref in checkpoint.tensors.items():
                count = min(ref.elements, 1000)
                if checkpoint.read(name, ref.elements - count, count).size != count:
                    raise Fault(f"{name!r} is shorter than it says")
    except ParentageError as error:
        code = error.code
        if not str(error).isprintable() or len(str(error)) > 2000:
            raise Fault(f"{code}: its message floods or steers a terminal") from error
    except Fault:
        raise
    except Exception as error:  # whatever it is, it is a fault of a reader
        raise Fault(f"{type(error).__name__}: {error}") from error
    finally:
        took, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if took > SECONDS or peak > MEMORY:
        raise Fault(f"it took {took:.1f} s and {peak / 2**20:.0f} MiB")
    return code


def _replaced(raw: bytearray, at: int, rng: random.Random) -> None:
    raw[at : at + 1] = rng.randbytes(1)


def _flipped(raw: bytearray, at: int, rng: random.Random) -> None:
    if raw:
        raw[at] ^= 1 << rng.randrange(8)


def _edge(raw: bytearray, at: int, rng: random.Random) -> None:
    wide = rng.choice((1, 2, 4, 8))
    raw[at : at + wide] = (rng.choice(EDGES) % 256**wide).to_bytes(wide, rng.choice(("little", "big")))


def _word(raw: bytearray, at: int, rng: random.Random) -> None:
    raw[at : at + rng.choice((0, 1, 4))] = rng.choice(WORDS)


def _dropped(raw: bytearray, at: int, rng: random.Random) -> None:
    del raw[at : at + rng.choice((1, 2, 8, 64))]


def _doubled(raw: bytearray, at: int, rng: random.Random) -> None:
    raw[at:at] = raw[at : at + rng.choice((1, 8, 32, 128))]


EDITS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    _replaced, _flipped, _edge, _edge, _word, _dropped, _doubled,
)  # fmt: skip


def seeds() -> dict[str, list[bytes]]:
    """Good files, and those lies that are small."""
    found = {
        "safetensors": [simple(), *(lie.raw for lie in LIES)],
        "gguf": [simple_gguf(), *(lie.raw for lie in GGUF_LIES)],
        "torch": [GOOD_TORCH],
        "onnx": [GOOD_ONNX],
    }
    return {kind: [raw for raw in several if len(raw) <= LONGEST] for kind, several in found.items()}


@dataclass
class Fuzzer:
    """``kept``: the smallest file that each code of each format refused."""

    folder: Path
    rng: random.Random
    kept: dict[tuple[str, str], bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    tried: int = 0
    opened: int = 0

    def once(self, kind: str, several: Sequence[bytes]) -> None:
        """One mutated file."""
        raw = bytearray(self.rng.choice(several))
        for _ in range(self.rng.choice((1, 1, 2, 3, 6))):
            self.rng.choice(EDITS)(raw, self.rng.randrange(len(raw) + 1) % max(len(raw), 1), self.rng)
        path = self.folder / NAMES[kind]
        path.write_bytes(raw)
        self.tried += 1
        try:
            code = examined(path)
        except Fault as fault:
            self.faults.append(f"{_keep(kind, 'fault', bytes(raw))}: {fault}")
            return
        self.opened += not code
        way = (kind, code)
        if code and len(raw) <= LONGEST and len(raw) < len(self.kept.get(way, bytes(LONGEST + 1))):
            self.kept[way] = bytes(raw)


def _keep(kind: str, code: str, raw: bytes) -> str:
    FOUND.mkdir(exist_ok=True)
    name = f"{kind}.{code}.{hashlib.sha256(raw).hexdigest()[:12]}"
    (FOUND / name).write_bytes(raw)
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="keep a file of each way to refuse that is new")
    given = parser.parse_args(arguments)
    ends = time.monotonic() + 60 * given.minutes
    formats = seeds()
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), random.Random(given.seed))
        while time.monotonic() < ends:
            for kind, several in formats.items():
                fuzzer.once(kind, several)
    known = {tuple(p.name.split(".")[:2]) for p in FOUND.glob("*.*.*")}
    new = sorted(way for way in fuzzer.kept if way not in known)
    if given.keep:
        for kind, code in new:
            _keep(kind, code, fuzzer.kept[kind, code])
    ways = f"{len(fuzzer.kept)} ways to refuse, {len(new)} new"
    print(f"{fuzzer.tried:,} files, {fuzzer.opened:,} opened, {ways}")
    print(*fuzzer.faults, sep="\n")
    return 1 if fuzzer.faults else 0


if __name__ == "__main__":
    sys.exit(main())
