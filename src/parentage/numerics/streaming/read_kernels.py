"""Reading a file from within compiled code: the system's own ``pread``, without a step through Python.

A chunk that stays in the second-level cache takes some twenty microseconds to read and to count; three
calls of Python take as long again, and wait for one another in several threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

__all__ = ["fill"]

# ssize_t pread(int, void *, size_t, off_t), linked by its name so that compiled code can be kept.
_pread: Any = types.ExternalFunction(
    "pread", types.int64(types.int32, types.uintp, types.uintp, types.int64)
)


@njit(cache=True, nogil=True, error_model="numpy")
def fill(descriptor: int, offset: int, row: NDArray[np.uint8], count: int) -> bool:
    """Read ``count`` bytes from ``offset`` on to the start of ``row``; False when fewer came, for whatever
    reason: who reads them again by other means learns it."""
    done = 0
    while done < count:
        got = _pread(
            np.int32(descriptor),
            np.uintp(row.ctypes.data + done),
            np.uintp(count - done),
            np.int64(offset + done),
        )
        if got <= 0:
            return False
        done += got
    return True
