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
    """Parts of a layer that stand in another order than the model's, or are multiplied.

    ``unit``: what is reordered (``neurons``, ``queries and keys``, ``values``, ``hidden``, ``tokens``,
    ``experts``), in
    ``tensors`` of the suspect, ``units`` of them. ``moved`` have another place and ``multiplied`` a factor
    that is a power of two or negative: both were undone before comparing. ``scaled`` have another factor,
    which was not. ``one_order``: all tensors are reordered alike, so that the model computes the same.
    """

    model: int
    layer: int | Absent
    unit: str
    tensors: tuple[str, ...]
    units: int
    moved: int
    multiplied: int
    scaled: int
    one_order: bool


@dataclass(frozen=True, slots=True)
class AlignmentFindings:
    """``families``: by model, Absent where its names are of no known family. ``by_content``: other orders
    of layers and within them were looked for; over a network they are not."""

    families: tuple[str | Absent, ...]
    layouts: tuple[Layout, ...] = ()
    layer_maps: tuple[LayerMap, ...] = ()
    orders: tuple[UnitOrder, ...] = ()
    by_content: bool = False
