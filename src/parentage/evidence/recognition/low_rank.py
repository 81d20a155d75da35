"""Changes of low rank: what adapters and taken-out directions leave, measured against storage rounding.

Of matrices that differ from a model, blocks of up to 512 x 512 numbers are decomposed: a block of a product
of thin factors is one too. What is measured is judged in ``verdicts.methods``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import FLOATS, Context
from parentage.evidence.recognition.directions import direction_of
from parentage.numerics.matrices.low_rank_cells import (
    Bounds,
    CellFit,
    bounds_of,
    outside_where,
    smallest_rank,
)
from parentage.numerics.matrices.low_rank_change import Change, LowRank, low_rank, scaled_low_rank
from parentage.numerics.storage.cells import NARROW, rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from parentage.records.evidence import TensorEvidence
from parentage.records.recognition import Finding

__all__ = ["LOW_RANK", "Looked", "fit_of"]

Block = NDArray[np.float64]

KIND: Final = "low-rank"
# A block's side: 512 x 512 take a fifth of a second of one core.
SIDE: Final = 512
SMALLEST: Final = 32
# Rows of a block that is read by range: of 4,096 columns in 16 bits 2 MB, where 512 rows are 4.
TOGETHER: Final = 256
# Matrices that are decomposed, spread over the model; the first few decide whether the rest are.
MOST: Final = 16
FIRST: Final = 2
# Models that are compared with, nearest first.
MODELS: Final = 3
# What is left beyond the rank over what rounding leaves: adapters of peft over the real O .996 to 1.018,
# its real fine-tunes A and B 2.1 and more, in 16 and in 32 bits.
PROMISING: Final = 1.5
# Ranks beyond are not looked for in the cells.
MOST_RANK: Final = 64
# Below this a change reaches few numbers' next grid points; beyond the other, rows may have been scaled.
FAINT: Final = 0.85
CLEAR: Final = 1.15


@dataclass(frozen=True, slots=True)
class Looked:
    """One matrix against one model. ``cast``: that model's numbers were rounded as the suspect's are first;
    ``scaled``: rows were scaled as well. ``fit``: the least rank that gives the suspect's numbers within
    their rounding cells, and what it leaves outside (see ``fit_of``)."""

    name: str
    found: LowRank
    cast: bool
    scaled: bool
    fit: Mapping[str, int] | None = None


def _rows_of(extent: int, context: Context) -> NDArray[np.int64]:
    """Spread over the matrix; where a model is read by range neighbours, which are one read."""
    if context.whole is None:
        return np.unique(np.linspace(0, extent - 1, min(extent, SIDE)).astype(np.int64))
    count = min(extent, TOGETHER)
    return np.arange(count, dtype=np.int64) + (extent - count) // 2


def _find(context: Context) -> tuple[Finding, ...]:
    return tuple(f for k in _nearest(context) if (f := _against(context, k)) is not None)


def _nearest(context: Context) -> list[int]:
    """Sources by their distance over all matrices."""

    def distance(k: int) -> float:
        return sum(t.gram[k - 1][k - 1] for t in context.tensors if k in t.present)

    return sorted(context.sources, key=lambda k: (distance(k), k))[:MODELS]


def _against(context: Context, model: int) -> Finding | None:
    shared = [t for t in context.tensors if model in t.present and t.finite]
    changed = [t for t in shared if t.equal[model - 1] < t.finite]
    matrices = [t for t in changed if _wide(t)]
    chosen = _spread([t for t in matrices if _fit(t, context)])
    looked: list[Looked] = []
    for tensor in chosen:
        found = _look(tensor, model, context, looked)
        if found is not None:
            looked.append(found)
        if len(looked) == FIRST and all(x.found.excess > PROMISING for x in looked):
            break
    alone = bool(looked) and all(x.found.rank == 1 for x in looked)
    if not looked or (alone and not _paid_whole(looked, model, context)):
        return None
    measures: dict[str, Any] = {
        "shared": len(shared),
        "changed_matrices": len(matrices),
        "changed_vectors": len(changed) - len(matrices),
        "rows": [_row(x) for x in looked],
    }
    direction = direction_of([(x.name, x.found) for x in looked], model, context)
    if direction is not None:
        measures["direction"] = direction
    return Finding(KIND, (0, model), tuple(x.name for x in looked), measures)


def _fitted(found: Looked, after: Block, base: Block, dtype: DType, before: Sequence[Looked]) -> Looked:
    """The same with the rank that fits in the rounding cells, where singular values drown in rounding or
    in what scales are off by, and a matrix looked at ``before`` did not show that there is none."""
    fits = [x.fit for x in before if x.fit is not None]
    if _seen(found, fits) or (len(before) >= FIRST and not fits):
        return found
    bounds = bounds_of(base, after, _ends(after, dtype), _ends(base, dtype))
    guess = fits[-1]["rank"] if fits else found.found.rank
    # An adapter's matrices are of one kind.
    for one in ([] if fits and fits[-1]["scaled"] else [bounds]) + [replace(bounds, before=base)]:
        fit = smallest_rank(one, MOST_RANK, guess)
        if fit is not None:
            return replace(found, fit=fit_of(*fit, one))
    return found


def _seen(found: Looked, fits: Sequence[Mapping[str, int]]) -> bool:
    """Do singular values tell the rank, or that there is none?"""
    excess = found.found.excess
    if found.scaled or (fits and fits[-1]["scaled"]):
        return excess > PROMISING and not fits
    return FAINT <= excess <= CLEAR or excess > PROMISING


def fit_of(fit: CellFit, less: int, bounds: Bounds) -> dict[str, int]:
    """``rank``, and were rows ``scaled`` as well; numbers ``outside`` their cells, and with one rank
    ``less``; of those that moved to another binade (``crossing``) the ones outside where the suspect was
    rounded, or the other."""
    crossing = bounds.crossing
    return {
        "rank": fit.rank,
        "scaled": bounds.before is not None,
        "elements": fit.made.size,
        "outside": fit.outside,
        "less": less,
        "crossing": int(np.count_nonzero(crossing)),
        "forward": outside_where(fit.made, bounds.forward, crossing),
        "backward": outside_where(fit.made, bounds.backward, crossing),
    }


def _ends(values: Block, dtype: DType) -> tuple[Block, Block]:
    """Where the numbers' rounding cells begin and end."""
    cells = rounding_cells(round_to(values.reshape(-1), dtype), dtype)
    return cells.low.reshape(values.shape), cells.high.reshape(values.shape)


def _paid_whole(looked: Sequence[Looked], model: int, context: Context) -> bool:
    """May all be read whole? A direction that was taken out is told from an adapter of rank one by making
    whole matrices again: where they cannot be read, neither is said."""
    if context.whole is None:
        return True
    return all(context.whole.take(x.name, (model,), now=True) for x in looked)


def _row(x: Looked) -> dict[str, Any]:
    """What is kept of one matrix; ``modelled``: what is left over what rounding leaves of this very change,
    where that is less than it leaves of any; ``fit``: as of ``fit_of``, where a rank fits."""
    found = x.found
    faint = found.excess < FAINT and found.modelled > 0 and not x.scaled
    more: dict[str, Any] = {"modelled": found.left / found.modelled} if faint else {}
    if x.fit is not None:
        more["fit"] = dict(x.fit)
    return more | {
        "rank": found.rank,
        "excess": found.excess,
        "share": found.total / found.expected if found.expected else 0.0,
        "crossing": found.crossing,
        "forward": found.forward,
        "backward": found.backward,
        "rows": found.rows,
        "columns": found.columns,
        "cast": x.cast,
        "scaled": x.scaled,
    }


def _wide(tensor: TensorEvidence) -> bool:
    return len([n for n in tensor.shape if n > 1]) >= 2


def _fit(tensor: TensorEvidence, context: Context) -> bool:
    two = len(tensor.shape) == 2 and min(tensor.shape) >= SMALLEST
    suspect = context.groups[tensor.name].suspect
    return two and suspect.dtype in FLOATS and not suspect.encoding


def _spread(found: Sequence[TensorEvidence]) -> list[TensorEvidence]:
    """Up to ``MOST`` over the model, with the ends and the middle first."""
    step = max(1, -(-len(found) // MOST))
    chosen = list(found[::step])
    first = sorted({0, len(chosen) // 2, len(chosen) - 1} & set(range(len(chosen))))
    return [chosen[i] for i in first] + [t for i, t in enumerate(chosen) if i not in first]


def _look(tensor: TensorEvidence, model: int, context: Context, earlier: Sequence[Looked]) -> Looked | None:
    if not _paid(tensor, model, context):
        return None
    after = _block(tensor, 0, context)
    before = _block(tensor, model, context)
    if after is None or before is None:
        return None
    best: Looked | None = None
    for x in _ways(tensor, model, before, after):
        if best is None or x.found.excess < best.found.excess:
            best = x
        if best.found.excess <= PROMISING:
            break
    # A rank of which nothing is left over says nothing.
    if best is None or not np.isfinite(best.found.excess):
        return None
    own, other = (DType(tensor.effective_dtypes[k]) for k in (0, model))
    return _fitted(best, after, before, own, earlier) if own is other and own in NARROW else best


def _ways(
    tensor: TensorEvidence, model: int, before: NDArray[np.float64], after: NDArray[np.float64]
) -> Iterator[Looked]:
    own, other = (DType(tensor.effective_dtypes[k]) for k in (0, model))
    wide = _change(before, other, after, own)
    cast = None if own is other else _change(_rounded(before, own), own, after, own)
    roundings = 2 if own is DType.F32 else 1
    for change, is_cast in ((wide, False), (cast, True)):
        if change is not None:
            yield Looked(tensor.name, low_rank(change), is_cast, False)
    for change, is_cast in ((wide, False), (cast, True)):
        if change is not None:
            yield Looked(tensor.name, scaled_low_rank(change, roundings=roundings), is_cast, True)


def _change(before: NDArray[np.float64], other: DType, after: NDArray[np.float64], own: DType) -> Change:
    return Change(before, after, _cells(after, own), _cells(before, other))


def _rounded(values: NDArray[np.float64], dtype: DType) -> NDArray[np.float64]:
    return to_float64(round_to(values.reshape(-1), dtype), dtype).reshape(values.shape)


def _cells(values: NDArray[np.float64], dtype: DType) -> NDArray[np.float64]:
    """Widths of the numbers' rounding cells."""
    low, high = _ends(values, dtype)
    return high - low


def _block(tensor: TensorEvidence, model: int, context: Context) -> NDArray[np.float64] | None:
    """Rows spread over the matrix, the middle columns of each; None where not all are finite numbers."""
    operands = context.outline(tensor.name, (model,))
    if operands is None:
        return None
    part, n = operands.parts[0], tensor.shape[1]
    rows, first, width = _places(tensor, context)
    bits = [part.bits(int(row) * n + first, width) for row in rows]
    values = to_float64(np.concatenate(bits), part.tensor.dtype).reshape(len(rows), width)
    return values if np.isfinite(values).all() else None


def _places(tensor: TensorEvidence, context: Context) -> tuple[NDArray[np.int64], int, int]:
    """Rows of the block, its first column and how many it has."""
    rows, columns = tensor.shape
    width = min(columns, SIDE)
    return _rows_of(rows, context), (columns - width) // 2, width


def _paid(tensor: TensorEvidence, model: int, context: Context) -> bool:
    if context.whole is None:
        return True
    rows, first, width = _places(tensor, context)
    return context.whole.part(tensor.name, model, rows * tensor.shape[1] + first, width)


def _nothing(context: Context) -> Iterable[Candidate]:
    return ()


LOW_RANK: Final = Recogniser(KIND, _nothing, find=_find)
