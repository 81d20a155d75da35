"""Merges of thinned task vectors, planted by the rules themselves, and what is no such merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.methods.estimates.participation import UNITS, Parts
from parentage.methods.grids import on_grid, stored
from parentage.methods.method import Bits, Parameters, Profile
from parentage.methods.registry import method
from parentage.methods.task_vectors import Deltas
from parentage.numerics.storage.cells import rounding_cells
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged

__all__ = ["SHAPE", "family", "finetuned", "parts_of", "planted"]

SHAPE = (128, 192)
SPREAD = 0.04


def family(sizes: Sequence[float], dtype: DType, *, seed: int = 0) -> ArrayReader:
    """A base and models that moved from it by 1 % of its spread times ``sizes``, stored in ``dtype``."""
    draws = np.random.default_rng(seed)
    base = draws.normal(0, SPREAD, SHAPE).astype(np.float32)
    models = [base + draws.normal(0, SPREAD * 0.01 * s, SHAPE).astype(np.float32) for s in sizes]
    return ArrayReader(np.stack([on_grid(x.astype(np.float32), dtype) for x in (base, *models)]), dtype, 0)


def planted(
    name: str, reader: ArrayReader, rows: Sequence[Mapping[str, Any]], seed: int = 1, **shared: Any
) -> Bits:
    """The merge by mergekit's arithmetic in the reader's dtype."""
    profile = Profile("mergekit-0.1.5", reader.stored, reader.stored)
    return merged(method(name), reader, Parameters(({}, *rows), shared, seed), profile)


def finetuned(reader: ArrayReader, *, size: float = 1.0, share: float = 1.0, of: int = 0) -> Bits:
    """Operand ``of`` with normal noise (1 % of the spread times ``size``) on a share of its elements."""
    draws = np.random.default_rng(77)
    noise = draws.normal(0, SPREAD * 0.01 * size, SHAPE) * (draws.random(SHAPE) < share)
    return stored((reader.operands[of] + noise).astype(np.float32), reader.stored)


def parts_of(reader: ArrayReader, bits: Bits) -> Parts:
    """What an estimator sees."""
    flat: NDArray[np.float32] = reader.operands.reshape(reader.models, -1)
    deltas = Deltas.of(reader, reader.stored)(flat).astype(np.float64)
    cells = rounding_cells(bits.reshape(-1), reader.stored)
    return Parts(
        flat[0].astype(np.float64), deltas, cells.low, cells.high, reader.stored, UNITS[reader.stored]
    )
