"""Block formats: how many elements a block holds, and what numbers they are. Third-party decoders are
imported when a file needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from parentage.errors import CheckpointError

__all__ = ["GGUF_BLOCKS", "Encoding", "encoding_of"]

# Type number in a file, elements and bytes of a block (ggml's ``ggml.h`` and ``ggml-common.h``).
GGUF_BLOCKS: Mapping[str, tuple[int, int, int]] = {
    "Q4_0": (2, 32, 18),
    "Q4_1": (3, 32, 20),
    "Q5_0": (6, 32, 22),
    "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34),
    "Q2_K": (10, 256, 84),
    "Q3_K": (11, 256, 110),
    "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210),
    "IQ2_XXS": (16, 256, 66),
    "IQ2_XS": (17, 256, 74),
    "IQ3_XXS": (18, 256, 98),
    "IQ1_S": (19, 256, 50),
    "IQ4_NL": (20, 32, 18),
    "IQ3_S": (21, 256, 110),
    "IQ2_S": (22, 256, 82),
    "IQ4_XS": (23, 256, 136),
    "IQ1_M": (29, 256, 56),
    "TQ1_0": (34, 256, 54),
    "TQ2_0": (35, 256, 66),
    "MXFP4": (39, 32, 17),
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """``elements`` numbers in ``nbytes`` bytes; ``decode`` takes whole blocks as bytes to float32."""

    name: str
    elements: int
    nbytes: int
    decode: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@cache
def encoding_of(name: str) -> Encoding:
    """The encoding of this name; ``CheckpointError`` where it is not known."""
    if name not in GGUF_BLOCKS:
        raise CheckpointError(f"the block format {name} is not known", code="format-not-read")
    number, elements, nbytes = GGUF_BLOCKS[name]
    return Encoding(name, elements, nbytes, partial(_decode_gguf, number, nbytes))


def _decode_gguf(number: int, nbytes: int, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Whole blocks [n · nbytes] to float32 [n · elements], as ``gguf`` decodes them."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    if raw.size == 0:
        return np.empty(0, np.float32)
    # Scales that are infinite or NaN decode to such numbers, which are counted where they are read.
    with np.errstate(all="ignore"):
        found = dequantize(raw.reshape(-1, nbytes), GGMLQuantizationType(number))
    return np.ascontiguousarray(found, dtype=np.float32).reshape(-1)
