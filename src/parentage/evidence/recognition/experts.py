"""Experts of a mixture against a dense model's feed-forward parts, layer by layer: copies, or near copies.

Names and layouts are read by their families; each expert's matrix is compared on as many numbers from its
middle as are read of a small tensor, with the matrix of the same role and layer in every dense model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.naming import Holder, Naming, name_checkpoint
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.evidence.recognition.whole_tensors import WholeTensors
from parentage.numerics.storage.formats import to_float64
from parentage.records.dtypes import DType
from parentage.records.recognition import Finding
from parentage.records.tensors import TensorRef

__all__ = ["KIND", "find_experts"]

KIND: Final = "experts"
# Numbers of each matrix that are compared.
LOOKED: Final = 2**14
ROLES: Final = ("gate_proj", "up_proj", "down_proj")
# Over a network each matrix is a request: 32 layers of eight experts and a dense model are 864, 7 MB.
LOOKED_AFAR: Final = 2**12
# A mixture of 60 layers of 512 experts has 92,160 such matrices: so many are compared, spread evenly.
MOST: Final = 2048
FLOATS: Final = (DType.BF16, DType.F16, DType.F32)


@dataclass(frozen=True, slots=True)
class _Matrix:
    """One expert's matrix, or a dense part: ``start`` and ``count`` of its elements in a tensor."""

    layer: int
    expert: int
    role: str
    ref: TensorRef
    start: int
    count: int


_Dense = dict[int, dict[tuple[int, str], _Matrix]]


def find_experts(
    checkpoints: Sequence[Checkpoint], sources: Sequence[int], whole: WholeTensors | None = None
) -> tuple[Finding, ...]:
    """One finding where the suspect has experts and a source has dense parts of their shape; else none.

    ``whole``: pays where a model is read by range; without the means for all that is compared there is no
    finding."""
    suspect = checkpoints[0]
    own = _thinned(list(_experts(name_checkpoint(suspect))))
    dense = {k: _dense(name_checkpoint(checkpoints[k])) for k in sources} if own else {}
    dense = {k: found for k, found in dense.items() if found}
    if not own or not dense:
        return ()
    looked = LOOKED if whole is None else LOOKED_AFAR
    if whole is not None and not whole.together(KIND, _wanted(own, dense, checkpoints)):
        return ()
    rows = [row for m in own if (row := _row(m, suspect, dense, checkpoints, looked)) is not None]
    if not rows:
        return ()
    measures: dict[str, Any] = {
        "layers": len({m.layer for m in own}),
        "experts": 1 + max(m.expert for m in own),
        "matrices": len(own),
        "rows": rows,
    }
    return (Finding(KIND, (0, *dense), (), measures),)


def _wanted(
    own: Sequence[_Matrix], dense: _Dense, checkpoints: Sequence[Checkpoint]
) -> list[tuple[Checkpoint, Slices]]:
    """What :func:`_row` reads of all of them."""
    found = [(checkpoints[0], m) for m in own]
    found += [(checkpoints[k], m) for k, parts in dense.items() for m in parts.values()]
    places = ((c, m, *_place(m, LOOKED_AFAR)) for c, m in found)
    return [(c, Slices(m.ref, np.array([start], np.int64), count)) for c, m, start, count in places]


def _place(matrix: _Matrix, looked: int) -> tuple[int, int]:
    count = min(matrix.count, looked)
    return matrix.start + (matrix.count - count) // 2, count


def _thinned(found: list[_Matrix]) -> list[_Matrix]:
    return found[:: max(1, -(-len(found) // MOST))]


def _experts(naming: Naming) -> Iterator[_Matrix]:
    for holder in naming.holders.values():
        held, ref = holder.held, holder.ref
        roles = [_role(r) for r in held.part.roles]
        if held.layer is None or held.stack or not all(roles) or not _plain(holder):
            continue
        if held.part.experts and len(ref.shape) == 3:
            yield from _stacked(held.layer, roles, ref)
        elif held.expert is not None and len(roles) == 1 and len(ref.shape) == 2:
            yield _Matrix(held.layer, held.expert, roles[0], ref, 0, ref.elements)


def _role(role: str) -> str:
    name = role.removeprefix("mlp.experts.")
    return name if name != role and name in ROLES else ""


def _plain(holder: Holder) -> bool:
    return holder.ref.dtype in FLOATS and not holder.ref.encoding and holder.ref.elements > 0


def _stacked(layer: int, roles: list[str], ref: TensorRef) -> Iterator[_Matrix]:
    """[experts, rows of each role in turn, columns]."""
    each = ref.elements // ref.shape[0]
    if ref.shape[1] % len(roles):
        return
    part = each // len(roles)
    for expert in range(ref.shape[0]):
        for k, role in enumerate(roles):
            yield _Matrix(layer, expert, role, ref, expert * each + k * part, part)


def _dense(naming: Naming) -> dict[tuple[int, str], _Matrix]:
    found = {}
    for holder in naming.holders.values():
        held, ref = holder.held, holder.ref
        roles = [r.removeprefix("mlp.") for r in held.part.roles]
        fits = held.layer is not None and not held.stack and held.leaf == "weight" and len(ref.shape) == 2
        if held.layer is None or not fits or not _plain(holder) or not set(roles) <= set(ROLES):
            continue
        part = ref.elements // len(roles)
        for k, role in enumerate(roles):
            found[held.layer, role] = _Matrix(held.layer, 0, role, ref, k * part, part)
    return found


def _row(
    own: _Matrix,
    suspect: Checkpoint,
    dense: _Dense,
    checkpoints: Sequence[Checkpoint],
    looked: int,
) -> dict[str, Any] | None:
    """The dense model whose matrix is most alike; None where none has one of this size."""
    mine = _values(own, suspect, looked)
    best: dict[str, Any] | None = None
    for model, parts in dense.items():
        other = parts.get((own.layer, own.role))
        if other is None or other.count != own.count:
            continue
        theirs = _values(other, checkpoints[model], looked)
        alike = _correlation(mine, theirs)
        if best is None or alike > best["alike"]:
            best = {
                "layer": own.layer,
                "expert": own.expert,
                "role": own.role,
                "model": model,
                "looked": int(mine.size),
                "equal": int(np.count_nonzero(mine == theirs)),
                "alike": alike,
            }
    return best


def _values(matrix: _Matrix, checkpoint: Checkpoint, looked: int) -> NDArray[np.float64]:
    start, count = _place(matrix, looked)
    return to_float64(checkpoint.read(matrix.ref, start, count), matrix.ref.dtype)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    with np.errstate(all="ignore"):
        a, b = x - x.mean(), y - y.mean()
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        found = float(a @ b) / size if size > 0 else 0.0
    return found if np.isfinite(found) else 0.0
