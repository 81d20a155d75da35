"""Reads that Linux does by itself, many at a time, with no thread for each (io_submit(2), io_getevents(2)).

A thread that waits for a disk costs a wake-up, a turn at the interpreter's lock and what a future is made
of: as much as counting what it read. These system calls have no function in Python's library, and no
maintained package offers them; io_uring, their successor, is closed in most containers. Where they are not
to be had, threads read (:mod:`parentage.checkpoints.direct_files`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["KernelReads", "Request", "cached_pages"]

Raw = NDArray[np.uint8]


class _Calls(NamedTuple):
    """Numbers of system calls."""

    setup: int
    destroy: int
    submit: int
    events: int


# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_CALLS: Final = {"x86_64": _Calls(206, 207, 209, 208), "aarch64": _Calls(0, 1, 2, 4)}
# The same on every architecture, from Linux 6.5 on.
_CACHESTAT: Final = 451
_PREAD: Final = 0


class _Control(ctypes.Structure):
    """``struct iocb`` of include/uapi/linux/aio_abi.h, where the lowest byte comes first."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("flags", ctypes.c_int32),
        ("operation", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("number", ctypes.c_uint32),
        ("address", ctypes.c_uint64),
        ("nbytes", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("more_flags", ctypes.c_uint32),
        ("event_number", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """``struct io_event``."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("control", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("more", ctypes.c_int64),
    )


class _Range(ctypes.Structure):
    """``struct cachestat_range``."""

    _fields_ = (("offset", ctypes.c_uint64), ("nbytes", ctypes.c_uint64))


class _Cached(ctypes.Structure):
    """``struct cachestat``, in pages."""

    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("here", "dirty", "written", "evicted", "lately_evicted")
    )


class Request(NamedTuple):
    """``room`` is to be filled from ``offset`` of an open file; ``key``, below the number of all that are
    under way at a time, names it."""

    key: int
    number: int
    offset: int
    room: Raw


class KernelReads:
    """Up to ``most`` reads under way, of one thread. ``OSError`` where the system does not do it."""

    def __init__(self, most: int) -> None:
        self._context = ctypes.c_uint64(0)
        self._open = False
        if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise OSError(errno.ENOSYS, "reads by the kernel are Linux's, in programs of 64 bits")
        calls = _CALLS.get(platform.machine())
        if calls is None:
            raise OSError(errno.ENOSYS, "the numbers of its system calls are not known")
        self._calls = calls
        self._controls = (_Control * most)()
        self._pointers = (ctypes.c_uint64 * most)()
        self._events = (_Event * most)()
        start = ctypes.addressof(self._controls)
        self._addresses = [start + k * ctypes.sizeof(_Control) for k in range(most)]
        # What could not even begin.
        self._failed: list[tuple[int, int]] = []
        _call(calls.setup, ctypes.c_long(most), ctypes.byref(self._context))
        self._open = True

    def begin(self, requests: Sequence[Request]) -> None:
        """Begin all; one that cannot begin is answered with 0 bytes."""
        for k, (key, number, offset, room) in enumerate(requests):
            control = self._controls[key]
            control.data, control.operation, control.number = key, _PREAD, number
            control.address = room.__array_interface__["data"][0]
            control.nbytes, control.offset = room.nbytes, offset
            self._pointers[k] = self._addresses[key]
        done = 0
        while done < len(requests):
            left = ctypes.c_long(len(requests) - done)
            where = ctypes.byref(self._pointers, done * ctypes.sizeof(ctypes.c_uint64))
            try:
                done += _call(self._calls.submit, self._context, left, where)
            except OSError:
                # The first of those left is the one that it refuses.
                self._failed.append((requests[done].key, 0))
                done += 1

    def wait(self) -> list[tuple[int, int]]:
        """Key and bytes of those that have ended, at least one; 0 bytes of one that failed."""
        if self._failed:
            failed, self._failed = self._failed, []
            return failed
        most = ctypes.c_long(len(self._events))
        while True:
            try:
                count = _call(self._calls.events, self._context, ctypes.c_long(1), most, self._events, None)
            except InterruptedError:
                continue
            return [(e.data, max(0, e.result)) for e in self._events[:count]]

    def close(self) -> None:
        """Wait for what is under way, so that no memory is written later; safe to call twice."""
        if self._open:
            self._open = False
            _call(self._calls.destroy, self._context)

    def __del__(self) -> None:
        self.close()


def cached_pages(number: int, offset: int, nbytes: int) -> int | None:
    """How many pages of this span of an open file lie in the page cache; None where the system does not
    tell. Nothing is read: asking by a read that must not wait makes newer systems fetch the page."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    found = _Cached()
    span = _Range(offset, nbytes)
    try:
        _call(_CACHESTAT, ctypes.c_long(number), ctypes.byref(span), ctypes.byref(found), ctypes.c_long(0))
    except OSError:
        return None
    return int(found.here)


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    # The interpreter's lock is free while the system is at work.
    result = _library().syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
