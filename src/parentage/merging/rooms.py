"""Memory that is used again: pages that the system gives anew cost as much as what is put in them."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rooms"]


class Rooms:
    """Arrays of 16-bit numbers, lent and given back, by any thread. There are as many as were lent at one
    time, each as large as the largest that it was lent for."""

    def __init__(self) -> None:
        self._free: deque[NDArray[np.uint16]] = deque()

    def lend(self, count: int) -> NDArray[np.uint16]:
        """An array [count] that holds anything."""
        try:
            room = self._free.pop()
        except IndexError:
            return np.empty(count, np.uint16)
        return room[:count] if room.size >= count else np.empty(count, np.uint16)

    def give(self, room: NDArray[np.uint16]) -> None:
        """What was lent, or a part of it, which nobody looks at any more."""
        self._free.append(room if room.base is None else room.base)
