"""Which tensors of which sources make each tensor of the output, before any of them is looked at.

The layers of the output come one after another over the recipe's slices; without slices, all layers of all
models. What lies before the layers comes from the first slice's sources, what lies after them from the
last one's, as in mergekit; both are at the shallow end (0) of a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from parentage.architectures.roles import role_of
from parentage.errors import PlanError
from parentage.merging.layers import Key, Layout, at_layer
from parentage.merging.parameters import Group
from parentage.records.recipe import ModelName, Recipe, SourceSlice
from parentage.records.tensors import TensorRef

__all__ = ["Sources", "output_layers", "sources_of", "unused"]

Layouts = Mapping[ModelName, Layout]


@dataclass(frozen=True, slots=True)
class Sources:
    """One tensor of the output: its name, its depth ``t``, and what each source has for it, or None."""

    name: str
    key: Key
    t: float
    group: Group
    tensors: tuple[TensorRef | None, ...]


def sources_of(recipe: Recipe, layouts: Layouts, *, add_base: bool) -> Iterator[Sources]:
    """Every tensor of the output: what lies before the layers, the layers, what lies after them."""
    groups = _groups(recipe, layouts, add_base)
    first, last = groups[0], groups[-1]
    yield from (s for s in _outside(first, layouts) if not _comes_after(s.name))
    number = 0
    for group in groups:
        begins = [_layers(s, layouts) for s in group.sources]
        count = begins[0][1] - begins[0][0]
        for step in range(count):
            t = step / (count - 1) if count > 1 else 1.0
            numbers = [begin + step for begin, _ in begins]
            yield from _layer(group, layouts, numbers, number, t)
            number += 1
    yield from (s for s in _outside(last, layouts) if _comes_after(s.name))


def output_layers(recipe: Recipe, layouts: Layouts) -> list[tuple[ModelName, int]]:
    """For each layer of the output, the first source's model and layer: configs list things by layer."""
    found = []
    for group in _groups(recipe, layouts, add_base=False):
        begin, end = _layers(group.sources[0], layouts)
        found += [(group.sources[0].model, number) for number in range(begin, end)]
    return found


def unused(recipe: Recipe, layouts: Layouts, made: Sequence[Sources]) -> Iterator[tuple[ModelName, str]]:
    """Tensors of every model that nothing in the output is made of."""
    used = {
        (s.model, t.name)
        for one in made
        for s, t in zip(one.group.sources, one.tensors, strict=True)
        if t is not None
    }
    for model, layout in layouts.items():
        for tensor in layout.tensors.values():
            if (model, tensor.name) not in used:
                yield model, tensor.name


def _groups(recipe: Recipe, layouts: Layouts, add_base: bool) -> list[Group]:
    if recipe.slices:
        return [
            Group(p.sources, _base(p.sources, p.base_model or recipe.base_model), p.parameters)
            for p in recipe.slices
        ]
    sources = recipe.models
    base = recipe.base_model
    if add_base and base is not None and all(s.model != base for s in sources):
        sources = (*sources, SourceSlice(base))
    _check_depths(sources, layouts)
    return [Group(sources, _base(sources, base), {})]


def _base(sources: Sequence[SourceSlice], base: ModelName | None) -> int | None:
    return next((k for k, s in enumerate(sources) if s.model == base), None)


def _check_depths(sources: Sequence[SourceSlice], layouts: Layouts) -> None:
    depths = {s.model: layouts[s.model].layers for s in sources}
    if len(set(depths.values())) > 1:
        raise PlanError(
            "the models have different numbers of layers: "
            + ", ".join(f"{model}: {n}" for model, n in depths.items()),
            code="plan-layers",
            hint="say with slices and layer_range which layers meet",
        )


def _layers(source: SourceSlice, layouts: Layouts) -> tuple[int, int]:
    there = layouts[source.model].layers
    if source.layers is None:
        return 0, there
    if source.layers[1] > there:
        raise PlanError(
            f"layers {source.layers[0]} to {source.layers[1]} are wanted of a model with {there}",
            code="plan-layers",
            where=f"{source.model}, line {source.line}" if source.line else str(source.model),
            hint="layer_range: [first, the one after the last], counted from 0",
        )
    return source.layers


def _template(group: Group) -> int:
    """Whose names, order and dtypes the output takes: the base's, else the first source's."""
    return 0 if group.base is None else group.base


def _in_order(group: Group) -> list[int]:
    first = _template(group)
    return [first, *(k for k in range(len(group.sources)) if k != first)]


def _outside(group: Group, layouts: Layouts) -> Iterator[Sources]:
    maps = [layouts[s.model].tensors for s in group.sources]
    seen: set[Key] = set()
    for k in _in_order(group):
        for key, tensor in layouts[group.sources[k].model].outside():
            if key not in seen:
                seen.add(key)
                yield Sources(tensor.name, key, 0.0, group, tuple(m.get(key) for m in maps))


def _layer(
    group: Group, layouts: Layouts, numbers: Sequence[int], output: int, t: float
) -> Iterator[Sources]:
    maps = [layouts[s.model].tensors for s in group.sources]
    seen: set[str] = set()
    for k in _in_order(group):
        for key, tensor in layouts[group.sources[k].model].in_layer(numbers[k]):
            if key.tail in seen:
                continue
            seen.add(key.tail)
            found = tuple(
                m.get(Key(key.head, number, key.tail)) for m, number in zip(maps, numbers, strict=True)
            )
            yield Sources(at_layer(tensor.name, output), Key(key.head, output, key.tail), t, group, found)


def _comes_after(name: str) -> bool:
    return "embed" not in name and role_of(name).component != "embedding"
