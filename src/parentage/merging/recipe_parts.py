"""The parts of a mixed recipe: each a recipe of its own, and which tensors it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import yaml

from parentage.errors import RecipeError
from parentage.merging.recipe_nodes import Reading, is_null
from parentage.methods.mixed import MIXED
from parentage.records.recipe import Recipe, RecipePart

__all__ = ["check_mixed", "read_parts"]

REGION: Final = ("layers", "filter", "tensors")
# What holds for the whole output is said once, beside the parts.
KEYS: Final = ("merge_method", "models", "base_model", "parameters", "dtype", "parentage")
MOST_PARTS: Final = 64
Table = dict[str, yaml.Node]


def check_mixed(reading: Reading, root: yaml.Node, table: Mapping[str, yaml.Node], method: str) -> None:
    """``parts`` and the method ``mixed`` come together, and without what each part says for itself."""
    if (method == MIXED.id) != ("parts" in table):
        message = f"merge_method: {MIXED.id} and parts belong together"
        raise RecipeError(
            message, code="recipe-shape", where=reading.at(root), hint="docs/merging.md has the form"
        )
    for key in ("models", "slices", "base_model", "parameters", "dtype", "tokenizer", "tokenizer_source"):
        if "parts" in table and key in table:
            raise RecipeError(
                f"{key} beside parts is not supported",
                code="recipe-unsupported",
                where=reading.at(table[key]),
                hint="say it in each part; a tokenizer is taken from the last part's base",
            )


def read_parts(
    reading: Reading, node: yaml.Node | None, recipe: Callable[[Table, yaml.Node], Recipe]
) -> tuple[RecipePart, ...]:
    """The parts in order; ``recipe`` reads what a part has in common with a whole recipe."""
    if node is None:
        return ()
    entries = reading.items(node, "parts")
    if not 0 < len(entries) <= MOST_PARTS:
        raise reading.shape("parts", f"1 to {MOST_PARTS} parts", node)
    found = tuple(_part(reading, entry, recipe) for entry in entries)
    if not found[-1].everywhere:
        raise reading.shape("the last part", "no layers, filter or tensors: it takes the rest", entries[-1])
    return found


def _part(reading: Reading, node: yaml.Node, recipe: Callable[[Table, yaml.Node], Recipe]) -> RecipePart:
    table = {k: v for k, v in reading.table(node, "a part").items() if not is_null(v)}
    reading.known(table, (*REGION, *KEYS), "a part")
    own = {k: v for k, v in table.items() if k in KEYS}
    found = recipe(own, node)
    if found.method == MIXED.id:
        raise reading.shape("a part", "one method: parts of parts are parts", node)
    layers = (
        [reading.whole(n, "layers") for n in reading.items(table["layers"], "layers")]
        if ("layers" in table)
        else None
    )
    if layers is not None and (len(layers) != 2 or not layers[0] < layers[1]):
        raise reading.shape("layers", "[first, last), the first below the last", table["layers"])
    return RecipePart(
        found,
        None if layers is None else (layers[0], layers[1]),
        _texts(reading, table, "filter"),
        _texts(reading, table, "tensors"),
        node.start_mark.line + 1,
    )


def _texts(reading: Reading, table: Table, key: str) -> tuple[str, ...]:
    if key not in table:
        return ()
    node = table[key]
    listed = reading.items(node, key) if isinstance(node, yaml.SequenceNode) else [node]
    found = tuple(reading.text(n, key) for n in listed)
    if not found or not all(found):
        raise reading.shape(key, "a name, or a list of names", node)
    return found
