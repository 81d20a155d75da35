"""Block formats: how many elements a block holds, and what numbers they are. Third-party decoders are
imported when a file needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.errors import CheckpointError

__all__ = ["Encoding", "encoding_of"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """``elements`` numbers in ``nbytes`` bytes; ``decode`` takes whole blocks as bytes to float32."""

    name: str
    elements: int
    nbytes: int
    decode: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def encoding_of(name: str) -> Encoding:
    """The encoding of this name; ``CheckpointError`` where it is not known."""
    raise CheckpointError(f"the block format {name} is not known", code="format-not-read")
