"""Read a merge recipe: mergekit's own form, strictly; every refusal names the line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from parentage.errors import InputMissingError, RecipeError
from parentage.merging.recipe_nodes import MAX_BYTES, Reading, is_null, parse
from parentage.merging.recipe_parts import check_mixed, read_parts
from parentage.merging.recipe_tokens import read_tokenizer
from parentage.merging.recipe_values import model_name, read_adapters, read_settings
from parentage.records.recipe import ModelName, OutputSlice, Recipe, SourceSlice

__all__ = ["DTYPES", "read_recipe", "recipe_from_text"]

KEYS: Final = (
    "merge_method",
    "models",
    "slices",
    "adapters",
    "parts",
    "base_model",
    "parameters",
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
    "name",
    "parentage",
)
UNSUPPORTED: Final = {
    "modules": "name the models under models: every part of them is merged, vision towers too",
}
DTYPES: Final = ("bfloat16", "float16", "float32", "float64")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe's file; ``InputMissingError``, and ``RecipeError`` with the line and a code."""
    try:
        if not path.is_file():
            raise InputMissingError("there is no such recipe", where=str(path), hint="name a YAML file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputMissingError(
            f"cannot be read: {error.strerror}", code="input-unreadable", where=str(path)
        ) from None
    return recipe_from_text(raw.decode("utf-8", errors="replace"), str(path))


def recipe_from_text(text: str, where: str = "recipe") -> Recipe:
    """Read a recipe from YAML text; nothing in it is executed."""
    reading, root = parse(text, where)
    try:
        return _recipe(reading, root)
    except RecursionError:
        raise RecipeError("it nests too deep", code="recipe-cyclic", where=where) from None


def _recipe(reading: Reading, root: yaml.Node) -> Recipe:
    table = {k: v for k, v in reading.table(root, "the recipe").items() if not is_null(v)}
    for key, instead in UNSUPPORTED.items():
        if key in table:
            raise RecipeError(
                f"{key} is not supported",
                code="recipe-unsupported",
                where=reading.at(table[key]),
                hint=instead,
            )
    reading.known(table, KEYS, "the recipe")
    if "merge_method" not in table:
        raise RecipeError(
            "merge_method is missing",
            code="recipe-shape",
            where=reading.at(root),
            hint="merge_method: linear",
        )
    method = reading.text(table["merge_method"], "merge_method")
    check_mixed(reading, root, table, method)
    if sum(key in table for key in ("models", "slices", "adapters", "parts")) != 1:
        raise RecipeError(
            "a recipe has either models or slices, or adapters",
            code="recipe-shape",
            where=reading.at(root),
            hint="keep one of them",
        )
    own = _own(reading, table)
    return Recipe(
        method=method,
        models=_models(reading, table.get("models")),
        slices=_slices(reading, table.get("slices")),
        base_model=_base(reading, table),
        parameters=read_settings(reading, table.get("parameters")),
        dtype=_dtype(reading, table, "dtype"),
        out_dtype=_dtype(reading, table, "out_dtype"),
        tokenizer=read_tokenizer(reading, table),
        chat_template=_text(reading, table, "chat_template"),
        name=_text(reading, table, "name"),
        profile=_text(reading, own, "profile"),
        seed=reading.whole(own["seed"], "parentage.seed") if "seed" in own else None,
        adapters=read_adapters(reading, table.get("adapters")),
        parts=read_parts(reading, table.get("parts"), lambda part, node: _of_part(reading, part, node)),
    )


def _of_part(reading: Reading, table: dict[str, yaml.Node], node: yaml.Node) -> Recipe:
    """What a part has in common with a whole recipe."""
    for key in ("merge_method", "models"):
        if key not in table:
            raise RecipeError(
                f"{key} is missing in a part", code="recipe-shape", where=reading.at(node), hint=f"{key}: …"
            )
    own = _own(reading, table)
    return Recipe(
        method=reading.text(table["merge_method"], "merge_method"),
        models=_models(reading, table["models"]),
        base_model=_base(reading, table),
        parameters=read_settings(reading, table.get("parameters")),
        dtype=_dtype(reading, table, "dtype"),
        profile=_text(reading, own, "profile"),
        seed=reading.whole(own["seed"], "parentage.seed") if "seed" in own else None,
    )


def _own(reading: Reading, table: dict[str, yaml.Node]) -> dict[str, yaml.Node]:
    if "parentage" not in table:
        return {}
    own = reading.table(table["parentage"], "parentage")
    reading.known(own, ("profile", "seed"), "parentage")
    return own


def _text(reading: Reading, table: dict[str, yaml.Node], key: str) -> str | None:
    return reading.text(table[key], key) if key in table else None


def _base(reading: Reading, table: dict[str, yaml.Node]) -> ModelName | None:
    return model_name(reading, table["base_model"], "base_model") if "base_model" in table else None


def _dtype(reading: Reading, table: dict[str, yaml.Node], key: str) -> str | None:
    if key not in table:
        return None
    name = reading.text(table[key], key).removeprefix("torch.")
    if name not in DTYPES:
        message = f"{key}: {name[:40]!r} is not supported"
        raise RecipeError(
            message, code="recipe-dtype", where=reading.at(table[key]), hint="one of " + ", ".join(DTYPES)
        )
    return name


def _models(reading: Reading, node: yaml.Node | None) -> tuple[SourceSlice, ...]:
    if node is None:
        return ()
    found = tuple(_source(reading, entry, sliced=False) for entry in reading.items(node, "models"))
    if not found:
        raise reading.shape("models", "one model at least", node)
    return found


def _source(reading: Reading, node: yaml.Node, *, sliced: bool) -> SourceSlice:
    table = {k: v for k, v in reading.table(node, "a model's entry").items() if not is_null(v)}
    keys = ("model", "parameters", *(("layer_range",) if sliced else ()))
    reading.known(table, keys, "a model's entry")
    if "model" not in table or (sliced and "layer_range" not in table):
        missing = "layer_range" if "model" in table else "model"
        raise RecipeError(
            f"{missing} is missing", code="recipe-shape", where=reading.at(node), hint=f"{missing}: …"
        )
    return SourceSlice(
        model_name(reading, table["model"], "model"),
        _layers(reading, table["layer_range"]) if sliced else None,
        read_settings(reading, table.get("parameters")),
        node.start_mark.line + 1,
    )


def _layers(reading: Reading, node: yaml.Node) -> tuple[int, int]:
    ends = [reading.whole(item, "layer_range") for item in reading.items(node, "layer_range")]
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise reading.shape("layer_range", "[first, last), the first below the last", node)
    return ends[0], ends[1]


def _slices(reading: Reading, node: yaml.Node | None) -> tuple[OutputSlice, ...]:
    if node is None:
        return ()
    found = tuple(_slice(reading, entry) for entry in reading.items(node, "slices"))
    if not found:
        raise reading.shape("slices", "one slice at least", node)
    return found


def _slice(reading: Reading, node: yaml.Node) -> OutputSlice:
    table = {k: v for k, v in reading.table(node, "a slice").items() if not is_null(v)}
    if "residual_weight" in table:
        message = "residual_weight is not supported"
        raise RecipeError(
            message,
            code="recipe-unsupported",
            where=reading.at(table["residual_weight"]),
            hint="leave it out",
        )
    reading.known(table, ("sources", "base_model", "parameters"), "a slice")
    if "sources" not in table:
        raise RecipeError(
            "sources is missing", code="recipe-shape", where=reading.at(node), hint="sources: [{model: …}]"
        )
    entries = reading.items(table["sources"], "sources")
    sources = tuple(_source(reading, entry, sliced=True) for entry in entries)
    lengths = {s.layers[1] - s.layers[0] for s in sources if s.layers}
    if len(lengths) != 1:
        raise RecipeError(
            "the sources of a slice must have equally many layers, one source at least",
            code="recipe-layers",
            where=reading.at(table["sources"]),
            hint="check each layer_range",
        )
    return OutputSlice(
        sources,
        _base(reading, table),
        read_settings(reading, table.get("parameters")),
        node.start_mark.line + 1,
    )
