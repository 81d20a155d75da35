"""How the tensors of several models came to be compared: families, layouts, layers, orders.

Models are numbered as in the evidence: 0 is the suspect.
"""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["NOT_RECORDED", "NO_LOOK", "AlignmentFindings", "LayerMap", "Layout", "OrderLook", "UnitOrder"]

NOT_RECORDED = Absent("not recorded by the version that measured")
NO_LOOK = Absent("no model was looked at by range for other orders")


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
class OrderLook:
    """What was read beside the sample to find other orders, where models are read by range.

    ``nbytes``, ``requests``: as headers tell them, whatever was cached. ``unlike``: pairs of matrices that
    differ at the sample's places; ``on_sample`` of them meet in an order that another matrix showed, which
    was tried at these places alone. ``not_sought``: tensors in which no order was found and not all that
    could show one was read, for it would have taken ``needed`` bytes in all, more than was left.
    ``layers``: were layers that are unlike at these places looked for among the others?
    """

    nbytes: int
    requests: int
    unlike: int
    on_sample: int
    not_sought: tuple[str, ...]
    needed: int
    layers: bool = False


@dataclass(frozen=True, slots=True)
class AlignmentFindings:
    """``families``: by model, Absent where its names are of no known family. ``by_content``: other orders
    of layers and within them were looked for everywhere; over a network ``look`` says how far."""

    families: tuple[str | Absent, ...]
    layouts: tuple[Layout, ...] = ()
    layer_maps: tuple[LayerMap, ...] = ()
    orders: tuple[UnitOrder, ...] = ()
    by_content: bool = False
    look: OrderLook | Absent = NO_LOOK
