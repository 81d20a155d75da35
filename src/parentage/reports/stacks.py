"""Where a tensor stands: in which stack of layers, in which layer of it, in which column of a map.

A model may hold several stacks (text, vision, extra prediction layers) whose layers carry the same
numbers; they are told apart by the part of a tensor's name before its layer's number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from parentage.records.absence import Absent
from parentage.records.report import TensorVerdict

__all__ = ["Place", "column_of", "column_rank", "place_of"]

# The order in which a layer computes; columns that are not named here come after these.
_ORDER: Final = (
    "embedding",
    "attention.q",
    "attention.k",
    "attention.v",
    "attention.qkv",
    "attention",
    "attention.o",
    "linear-attention",
    "mlp.gate",
    "mlp.gate-up",
    "mlp.up",
    "mlp.down",
    "mlp",
    "router",
    "shared-expert",
    "experts.up",
    "experts.down",
    "experts",
)
_LAST: Final = ("norm", "pooler", "head", "vision", "mtp", "other")


@dataclass(frozen=True, slots=True)
class Place:
    """``stack`` is the name before the layer's number, ``layer`` None outside every stack."""

    stack: str
    layer: int | None


def place_of(tensor: TensorVerdict) -> Place:
    """The tensor's stack and layer; a name without its layer's number belongs to a nameless stack."""
    if isinstance(tensor.layer, Absent):
        return Place("", None)
    pieces = tensor.name.split(".")
    for index, piece in enumerate(pieces):
        # Longer digits are no layer's number, and Python refuses to read very long ones.
        if piece.isdecimal() and len(piece) < 10 and int(piece) == tensor.layer:
            return Place(".".join(pieces[:index]), tensor.layer)
    return Place("", tensor.layer)


def column_of(tensor: TensorVerdict) -> str:
    """The role where it refines the component (``attention.q`` of ``attention``), else that."""
    fine = tensor.role.startswith(f"{tensor.component}.")
    return tensor.role if fine else tensor.component


def column_rank(column: str) -> tuple[int, str]:
    """A key that sorts columns in the order in which a layer computes."""
    if column in _ORDER:
        return _ORDER.index(column), ""
    coarse = column.split(".", maxsplit=1)[0]
    if coarse in _ORDER:
        return _ORDER.index(coarse), column
    return len(_ORDER) + (_LAST.index(column) + 1 if column in _LAST else 0), column
