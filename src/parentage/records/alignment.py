"""How the tensors of several models came to be compared: families, layouts, layers, orders.

Models are numbered as in the evidence: 0 is the suspect.
"""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["NOT_RECORDED", "AlignmentFindings", "LayerMap", "Layout", "UnitOrder"]

NOT_RECORDED = Absent("not recorded by the version that measured")


@dataclass(frozen=True, slots=True)
class Layout:
    """``tensors`` of a model were read otherwise than stored; ``example`` is the suspect's name of one."""

    model: int
    how: str
    tensors: int
    example: str


@dataclass(frozen=True, slots=True)
class LayerMap:
    """Layers that do not meet by number, found by their content.

    ``stack``: what stands before a layer's number in the suspect's names (``model.layers``).
    ``own[k]`` of the suspect was compared with ``theirs[k]`` of the model; ``dropped``: layers of the model
    that the suspect has nowhere. Models whose layers meet by number, all of them, have no map.
    """

    model: int
    stack: str
    own: tuple[int, ...]
    theirs: tuple[int | Absent, ...]
    dropped: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitOrder:
    """Neurons or heads of a layer that stand in another order than the model's.

    ``unit``: ``neurons``, ``heads`` or ``key-value-heads``. ``moved`` of ``units`` have another place,
    ``scaled`` another scale that the next matrix takes back. ``undone``: the comparison put them back;
    Absent where it did not, and why.
    """

    model: int
    stack: str
    layer: int
    unit: str
    units: int
    moved: int
    scaled: int
    undone: bool | Absent


@dataclass(frozen=True, slots=True)
class AlignmentFindings:
    """``families``: by model, Absent where its names are of no known family."""

    families: tuple[str | Absent, ...]
    layouts: tuple[Layout, ...] = ()
    layer_maps: tuple[LayerMap, ...] = ()
    orders: tuple[UnitOrder, ...] = ()
