"""Reading open files past the system's page cache, several spans at a time, before they are needed.

What passes through the page cache costs a processor more than counting it does (.2 to 1.9 s a gigabyte were
measured where reading past it took .02 s), and pushes out what others keep there. It is worth it for what
is read once and is larger than memory; what lies in the cache already is read from there.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNED", "DirectBlock", "DirectReader", "in_memory", "larger_than_memory"]

Raw = NDArray[np.uint8]
# What addresses, offsets and lengths have to be multiples of, on every disk in use.
ALIGNED = 4096
# A large page of memory.
LARGE = 2 * 2**20
MEMORY = Path("/proc/meminfo")


def larger_than_memory(nbytes: int) -> bool:
    """Will so many bytes push each other out of the page cache? False where the system does not tell."""
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        if line.startswith("MemAvailable:"):
            return nbytes > int(line.split()[1]) * 1024 // 2
    return False


def in_memory(number: int, offset: int) -> bool:
    """Does this byte of an open file lie in the page cache? False too where the system does not tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    try:
        return os.preadv(number, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:
        return False


class DirectBlock(NamedTuple):
    """Rows that are lent, block ``number`` of all, and where in its row [rows, bytes] each span begins once
    it has come; None where it could not be read so."""

    number: int
    rows: Raw
    begins: list[Future[int | None]]


def _lasting(size: int) -> Raw:
    """Memory from the start of a large page, in large pages where the system gives them.

    A request for a disk names each piece of memory that does not follow on the one before: of pages of
    4 KiB no more than 254 go into one. Under the same load a virtual disk gave .7 GB/s for .15 s of the
    processor a gigabyte into small pages, and 2.1 for .02 s into large ones (docs/log.md).
    """
    private = mmap.mmap(-1, size + LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # Refused by systems that are built without large pages.
        with contextlib.suppress(OSError):
            private.madvise(mmap.MADV_HUGEPAGE)
    room = np.frombuffer(private, np.uint8)
    start = -room.ctypes.data % LARGE
    return room[start : start + size]


class DirectReader:
    """Reads for one worker, up to ``rows`` spans of up to ``room`` bytes at a time, into one of so many
    ``blocks``."""

    def __init__(self, room: int, rows: int, blocks: int) -> None:
        each = (room + 2 * ALIGNED - 1) // ALIGNED * ALIGNED
        self._held = _lasting(each * rows * blocks).reshape(blocks, rows, each)
        self._free = list(range(blocks))
        self._pool = ThreadPoolExecutor(rows * blocks, thread_name_prefix="parentage-direct")
        self._opened: dict[int, int | None] = {}

    def begin(self, files: Sequence[tuple[int, int]], sizes: Sequence[int]) -> DirectBlock:
        """Start reading ``sizes`` bytes of (descriptor, offset) each, one a row."""
        number = self._free.pop()
        rows = self._held[number, : len(files)]
        begins = [
            self._pool.submit(self._read, self._direct(file), offset, size, row)
            for (file, offset), size, row in zip(files, sizes, rows, strict=True)
        ]
        return DirectBlock(number, rows, begins)

    def end(self, block: DirectBlock) -> None:
        """Its bytes have come and are no longer needed."""
        self._free.append(block.number)

    def _read(self, number: int | None, offset: int, size: int, row: Raw) -> int | None:
        before = offset % ALIGNED
        wanted = (before + size + ALIGNED - 1) // ALIGNED * ALIGNED
        try:
            got = os.preadv(number, [row[:wanted].data], offset - before) if number is not None else 0
        except OSError:
            got = 0
        return before if got >= before + size else None

    def _direct(self, number: int) -> int | None:
        """The same file, opened past the cache; None where its file system has no such way."""
        if number not in self._opened:
            try:
                self._opened[number] = os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_DIRECT)
            except (OSError, AttributeError):
                self._opened[number] = None
        return self._opened[number]

    def close(self) -> None:
        """Let go of threads and files; safe to call twice."""
        self._pool.shutdown()
        for number in self._opened.values():
            if number is not None:
                os.close(number)
        self._opened.clear()

    def __del__(self) -> None:
        self.close()
