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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.kernel_reads import KernelReads, Request, cached_pages

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


def in_memory(number: int, offset: int, nbytes: int) -> bool:
    """Does this span of an open file lie in the page cache? False too where the system does not tell."""
    first, end = offset // ALIGNED, -(-(offset + nbytes) // ALIGNED)
    pages = cached_pages(number, first * ALIGNED, (end - first) * ALIGNED)
    if pages is not None:
        return pages >= end - first
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    try:
        # Its two ends stand for it.
        ends = (offset, offset + nbytes - 1)
        return all(os.preadv(number, [bytearray(1)], at, os.RWF_NOWAIT) == 1 for at in ends)
    except OSError:
        return False


class DirectBlock(NamedTuple):
    """Rows that are lent, block ``number`` of all, and where in its row [rows, bytes] each span begins once
    all have come; None where one could not be read so."""

    number: int
    rows: Raw
    begins: list[int | None]


class Reads(Protocol):
    """Reads under way, begun and awaited by one thread."""

    def begin(self, requests: Sequence[Request]) -> None:
        """Begin all."""

    def wait(self) -> list[tuple[int, int]]:
        """Key and bytes of some that have ended, at least one."""

    def close(self) -> None:
        """Wait for what is under way."""


class ThreadReads:
    """A thread for each read under way, where the kernel does not do it by itself."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="parentage-direct")
        self._come = SimpleQueue[tuple[int, int]]()

    def begin(self, requests: Sequence[Request]) -> None:
        """Begin all."""
        for request in requests:
            self._pool.submit(self._read, request)

    def wait(self) -> list[tuple[int, int]]:
        """The next that has ended."""
        return [self._come.get()]

    def _read(self, request: Request) -> None:
        try:
            got = os.preadv(request.number, [request.room.data], request.offset)
        except OSError:
            got = 0
        self._come.put((request.key, got))

    def close(self) -> None:
        """Let go of the threads; safe to call twice."""
        self._pool.shutdown()


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


def _reads(most: int) -> Reads:
    try:
        return KernelReads(most)
    except OSError:
        return ThreadReads(most)


class _Span(NamedTuple):
    """Where in its row a span begins, and the bytes that have to come."""

    before: int
    least: int


class DirectReader:
    """Reads for one worker, up to ``rows`` spans of up to ``room`` bytes at a time, into one of so many
    ``blocks``."""

    def __init__(self, room: int, rows: int, blocks: int) -> None:
        each = (room + 2 * ALIGNED - 1) // ALIGNED * ALIGNED
        self._held = _lasting(each * rows * blocks).reshape(blocks, rows, each)
        self._free = list(range(blocks))
        self._reads = _reads(rows * blocks)
        self._lent: dict[int, DirectBlock] = {}
        self._left: dict[int, int] = {}
        self._spans: dict[int, _Span] = {}
        self._opened: dict[int, int | None] = {}

    def begin(self, files: Sequence[tuple[int, int]], sizes: Sequence[int]) -> DirectBlock:
        """Start reading ``sizes`` bytes of (descriptor, offset) each, one a row."""
        number = self._free.pop()
        block = DirectBlock(number, self._held[number, : len(files)], [None] * len(files))
        self._lent[number], self._left[number] = block, len(files)
        requests = [
            self._request(block, k, file, offset, size)
            for k, ((file, offset), size) in enumerate(zip(files, sizes, strict=True))
        ]
        self._reads.begin(requests)
        return block

    def come(self) -> list[DirectBlock]:
        """Blocks of which everything has come, at least one; some must be under way."""
        whole: list[DirectBlock] = []
        while not whole:
            for key, got in self._reads.wait():
                number, row = divmod(key, self._held.shape[1])
                span, block = self._spans.pop(key), self._lent[number]
                block.begins[row] = span.before if got >= span.least else None
                self._left[number] -= 1
                if not self._left[number]:
                    whole.append(block)
        return whole

    def end(self, block: DirectBlock) -> None:
        """Its bytes have come and are no longer needed."""
        del self._lent[block.number]
        self._free.append(block.number)

    def _request(self, block: DirectBlock, row: int, file: int, offset: int, size: int) -> Request:
        key, before = block.number * self._held.shape[1] + row, offset % ALIGNED
        wanted = (before + size + ALIGNED - 1) // ALIGNED * ALIGNED
        self._spans[key] = _Span(before, before + size)
        direct = self._direct(file)
        # What cannot be read so is asked of no file, which is answered with nothing.
        return Request(key, -1 if direct is None else direct, offset - before, block.rows[row, :wanted])

    def _direct(self, number: int) -> int | None:
        """The same file, opened past the cache; None where its file system has no such way."""
        if number not in self._opened:
            try:
                self._opened[number] = os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_DIRECT)
            except (OSError, AttributeError):
                self._opened[number] = None
        return self._opened[number]

    def close(self) -> None:
        """Let go of what reads, once it has, and of files; safe to call twice."""
        self._reads.close()
        for number in self._opened.values():
            if number is not None:
                os.close(number)
        self._opened.clear()

    def __del__(self) -> None:
        self.close()
