"""How tensors came to be compared, as the evidence keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parentage.architectures.alignment import Alignment
from parentage.architectures.layer_maps import LayersFound
from parentage.architectures.unit_orders import FoundOrder
from parentage.numerics.matrices.assignment import RowMatch
from parentage.records.absence import Absent
from parentage.records.alignment import (
    NO_LOOK,
    AlignmentFindings,
    LayerMap,
    Layout,
    OrderLook,
    UnitOrder,
)

__all__ = ["alignment_findings", "alignment_notes", "unit_orders"]

SHOWN = 12


def alignment_findings(
    alignment: Alignment,
    orders: Sequence[FoundOrder],
    by_content: bool,
    look: OrderLook | Absent = NO_LOOK,
) -> AlignmentFindings:
    """Families, layouts and layer maps, in the order of the models and of the suspect's names."""
    maps = (
        _layer_map(model, found)
        for model, several in enumerate(alignment.layers, start=1)
        for found in several
    )
    return AlignmentFindings(
        alignment.families, tuple(_layouts(alignment)), tuple(maps), unit_orders(orders), by_content, look
    )


def _layouts(alignment: Alignment) -> Iterator[Layout]:
    found: dict[tuple[int, str], list[str]] = {}
    for entry in alignment.presented:
        found.setdefault((entry.checkpoint_index, entry.how), []).append(entry.tensor)
    for (model, how), tensors in sorted(found.items()):
        yield Layout(model, how, len(tensors), tensors[0])


def _layer_map(model: int, found: LayersFound) -> LayerMap:
    own = tuple(sorted(found.layers))
    return LayerMap(
        model, found.prefix, own, tuple(found.layers[n] for n in own), tuple(sorted(found.dropped))
    )


def alignment_notes(alignment: Alignment, names: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know: whose names were of no known family, what was read otherwise than stored."""
    layouts = list(_layouts(alignment))
    told = [_layout_note(names[layout.model], layout) for layout in layouts[:SHOWN]]
    if len(layouts) > SHOWN:
        told.append(f"{len(layouts) - SHOWN:,} more ways of reading tensors otherwise than stored")
    return (*_unknown(alignment, names), *told)


def _layout_note(name: str, layout: Layout) -> str:
    count = "1 tensor was" if layout.tensors == 1 else f"{layout.tensors:,} tensors were"
    return f"{name}: {count} read otherwise than stored ({layout.how}), such as {layout.example}"


def _unknown(alignment: Alignment, names: Sequence[str]) -> tuple[str, ...]:
    unknown = [n for n, f in zip(names, alignment.families, strict=True) if isinstance(f, Absent)]
    if not unknown:
        return ()
    listed = ", ".join(unknown[:4]) + (f" and {len(unknown) - 4} more" if len(unknown) > 4 else "")
    return (
        f"No family that is known here names tensors as {listed} do: they were matched by name and shape.",
    )


# What the rows and the columns of a matrix count, by its role; a linear map is [out, in].
_UNITS = {
    "attention.q": ("queries and keys", "hidden"),
    "attention.k": ("queries and keys", "hidden"),
    "attention.v": ("values", "hidden"),
    "attention.o": ("hidden", "values"),
    "mlp.gate": ("neurons", "hidden"),
    "mlp.up": ("neurons", "hidden"),
    "mlp.down": ("hidden", "neurons"),
    "embedding.token": ("tokens", "hidden"),
    "embedding.position": ("positions", "hidden"),
    "head": ("tokens", "hidden"),
    "router": ("experts", "hidden"),
}


def _units(found: FoundOrder) -> tuple[str, str]:
    group = found.group
    if found.unit:
        return found.unit, ""
    rows, columns = _UNITS.get(group.role.role, ("rows", "columns"))
    if len(group.suspect.shape) == 1 and group.role.component == "norm":
        return "hidden", ""
    return (columns, rows) if group.turned else (rows, columns)


Key = tuple[int, int, str, int]


def unit_orders(found: Sequence[FoundOrder]) -> tuple[UnitOrder, ...]:
    """By model, layer and what is reordered; tensors of one length together."""
    sides: dict[Key, list[tuple[str, RowMatch]]] = {}
    for entry in found:
        layer = entry.group.role.layer
        for unit, side in zip(_units(entry), (entry.rows, entry.columns), strict=True):
            if side is not None:
                key = (entry.model, -1 if layer is None else layer, unit, side.order.size)
                sides.setdefault(key, []).append((entry.group.name, side))
    return tuple(_unit_order(key, sides[key]) for key in sorted(sides))


def _unit_order(key: Key, several: Sequence[tuple[str, RowMatch]]) -> UnitOrder:
    model, layer, unit, size = key
    first = several[0][1].order
    return UnitOrder(
        model=model,
        layer=Absent("outside the layers") if layer < 0 else layer,
        unit=unit,
        tensors=tuple(name for name, _ in several),
        units=size,
        moved=max(side.moved for _, side in several),
        multiplied=max(side.multiplied for _, side in several),
        scaled=max(side.scaled for _, side in several),
        one_order=all(bool((side.order == first).all()) for _, side in several),
    )
