"""E-values of one tensor from the elements of one stage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.blends.mixtures import cast_operand
from parentage.evidence.sampling.reading import TensorSample
from parentage.numerics.deciding.predictive import LogEvidence, predictive_evidence
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import Mixture

__all__ = ["stage_evidence"]

# Of the elements that are fitted to, and of the new ones: the cost is in proportion, and a stored blend
# that can be seen at all shows in so many.
MOST_ELEMENTS = 8_192


def stage_evidence(sample: TensorSample, mixture: Mixture, new: NDArray[np.bool_]) -> LogEvidence:
    """Evidence of the elements marked ``new`` [n] on the pair of ``mixture``."""
    first, second = sample.models[mixture.first], sample.models[mixture.second]
    own = sample.suspect
    if first is None or second is None or own.effective.itemsize == 1:
        return LogEvidence()
    with np.errstate(invalid="ignore", over="ignore"):
        a, b = (cast_operand(m.values, mixture.cast) for m in (first, second))
    usable = np.isfinite(a) & np.isfinite(b) & np.isfinite(own.values) & (a != b)
    chosen = np.concatenate([_some(usable & ~new), _some(usable & new)])
    a, b, c, fresh = a[chosen], b[chosen], own.values[chosen], new[chosen]
    cells = rounding_cells(round_to(c, own.effective), own.effective)
    dtype = (
        own.effective if isinstance(mixture.comparison, Absent) else DType(mixture.comparison.merge_dtype)
    )
    return predictive_evidence(np.stack([a, b]), c, cells.low, cells.high, fresh, dtype=dtype)


def _some(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where they are; spread evenly where there are too many."""
    where = np.flatnonzero(marked)
    if where.size > MOST_ELEMENTS:
        where = where[np.linspace(0, where.size - 1, MOST_ELEMENTS).astype(np.int64)]
    return where
