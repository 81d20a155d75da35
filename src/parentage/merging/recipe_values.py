"""Models' names and parameter settings in a recipe."""

from __future__ import annotations

import math

import yaml

from parentage.errors import RecipeError
from parentage.merging.recipe_nodes import Reading, is_null
from parentage.records.recipe import AdapterEntry, Clause, ModelName, Scalar, Setting, Settings

__all__ = ["model_name", "read_adapters", "read_settings"]

MAX_NAME = 4096


def model_name(reading: Reading, node: yaml.Node, what: str) -> ModelName:
    """``model``, ``model@revision``, ``model+adapter``, or mergekit's long form of the same."""
    if isinstance(node, yaml.MappingNode):
        return _long_name(reading, node, what)
    text = reading.text(node, what)
    parts = [text] if "://" in text else text.split("+")
    if len(parts) > 2 or not all(0 < len(p) <= MAX_NAME for p in parts):
        raise reading.shape(what, "a model, or model+adapter", node)
    return ModelName(parts[0], parts[1] if len(parts) == 2 else None)


def _long_name(reading: Reading, node: yaml.Node, what: str) -> ModelName:
    table = {k: v for k, v in reading.table(node, what).items() if not is_null(v)}
    if "override_architecture" in table:
        message = f"{what}: override_architecture is not supported"
        hint = "leave it out: tensors are matched by their names"
        raise RecipeError(
            message, code="recipe-unsupported", where=reading.at(table["override_architecture"]), hint=hint
        )
    reading.known(table, ("model", "lora"), what)
    if "model" not in table:
        raise RecipeError(f"{what}: model is missing", code="recipe-shape", where=reading.at(node))
    adapter = _path(reading, table["lora"], what) if "lora" in table else None
    return ModelName(_path(reading, table["model"], what), adapter)


def _path(reading: Reading, node: yaml.Node, what: str) -> str:
    if not isinstance(node, yaml.MappingNode):
        return reading.text(node, what)
    table = {k: v for k, v in reading.table(node, what).items() if not is_null(v)}
    reading.known(table, ("path", "revision"), what)
    if "path" not in table:
        raise RecipeError(f"{what}: path is missing", code="recipe-shape", where=reading.at(node))
    revision = f"@{reading.text(table['revision'], what)}" if "revision" in table else ""
    return reading.text(table["path"], what) + revision


def read_adapters(reading: Reading, node: yaml.Node | None) -> tuple[AdapterEntry, ...]:
    """Adapters over the base, each with its weight."""
    if node is None:
        return ()
    found = tuple(_adapter(reading, entry) for entry in reading.items(node, "adapters"))
    if not found:
        raise reading.shape("adapters", "one adapter at least", node)
    return found


def _adapter(reading: Reading, node: yaml.Node) -> AdapterEntry:
    what = "an adapter's entry"
    table = {k: v for k, v in reading.table(node, what).items() if not is_null(v)}
    reading.known(table, ("adapter", "weight"), what)
    for key in ("adapter", "weight"):
        if key not in table:
            raise RecipeError(f"{what}: {key} is missing", code="recipe-shape", where=reading.at(node))
    weight = reading.scalar(table["weight"], "weight")
    try:
        number = float(weight) if not isinstance(weight, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise reading.shape("weight", "a number", table["weight"])
    return AdapterEntry(_path(reading, table["adapter"], what), number, node.start_mark.line + 1)


def read_settings(reading: Reading, node: yaml.Node | None) -> Settings:
    """Parameters by name."""
    if node is None:
        return {}
    return {
        name: _setting(reading, value, name)
        for name, value in reading.table(node, "parameters").items()
        if not is_null(value)
    }


def _setting(reading: Reading, node: yaml.Node, name: str) -> Setting:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Setting((_clause(reading, node, name),), line)
    if isinstance(node, yaml.SequenceNode):
        entries = reading.items(node, name)
        if entries and all(isinstance(e, yaml.MappingNode) for e in entries):
            return Setting(tuple(_clause(reading, e, name) for e in entries), line)
    return Setting((Clause(_value(reading, node, name)),), line)


def _clause(reading: Reading, node: yaml.Node, name: str) -> Clause:
    table = {k: v for k, v in reading.table(node, name).items() if not is_null(v)}
    reading.known(table, ("value", "filter"), name)
    if "value" not in table:
        raise RecipeError(
            f"{name}: value is missing", code="recipe-shape", where=reading.at(node), hint="value: 0.5"
        )
    chosen = reading.text(table["filter"], f"{name}.filter") if "filter" in table else None
    return Clause(_value(reading, table["value"], name), chosen)


def _value(reading: Reading, node: yaml.Node, name: str) -> Scalar | tuple[Scalar, ...]:
    if not isinstance(node, yaml.SequenceNode):
        return reading.scalar(node, name)
    values = tuple(reading.scalar(e, name) for e in reading.items(node, name))
    if not values:
        raise reading.shape(name, "a value, or a gradient of some", node)
    return values
