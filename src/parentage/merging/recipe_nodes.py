"""A recipe's YAML as nodes that know their lines; nothing is constructed but plain values.

YAML is read with PyYAML's safe resolver. Aliases may share nodes and ``<<`` may bring in a mapping, as
mergekit's own reader allows; how much of that is followed is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import yaml

from parentage.errors import RecipeError
from parentage.records.recipe import Scalar

__all__ = ["MAX_BYTES", "Reading", "is_null", "parse"]

# The longest recipe that mergekit's examples and the hub's cards showed has 9 kB.
MAX_BYTES = 2**20
MAX_NODES = 200_000
MAX_DEPTH = 32
MERGE = "tag:yaml.org,2002:merge"
PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool")}
NULL = "tag:yaml.org,2002:null"


@dataclass(slots=True)
class Reading:
    """Walks nodes, counts what it visits, and knows the file's name for messages."""

    where: str
    visited: int = 0

    def at(self, node: yaml.Node | None) -> str:
        """The file and the node's line."""
        return self.where if node is None else f"{self.where}, line {node.start_mark.line + 1}"

    def shape(self, what: str, wanted: str, node: yaml.Node) -> RecipeError:
        """The error for a value of another kind than the form wants."""
        return RecipeError(
            f"{what}: expected {wanted}",
            code="recipe-shape",
            where=self.at(node),
            hint="docs/merging.md has the form",
        )

    def table(self, node: yaml.Node, what: str, depth: int = 0) -> dict[str, yaml.Node]:
        """The entries of a mapping by their text keys; ``<<`` brings in what is not there itself."""
        if not isinstance(node, yaml.MappingNode):
            raise self.shape(what, "a mapping", node)
        self._count(node, depth)
        own: dict[str, yaml.Node] = {}
        brought: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == MERGE:
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    brought = {**self.table(part, what, depth + 1), **brought}
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise self.shape(what, "names as keys", key)
            if key.value in own:
                message = f"{what}: {key.value!r} is given twice"
                raise RecipeError(
                    message, code="recipe-duplicate-key", where=self.at(key), hint="keep one of the two"
                )
            own[key.value] = value
        return {**brought, **own}

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The entries of a list."""
        if not isinstance(node, yaml.SequenceNode):
            raise self.shape(what, "a list", node)
        self._count(node, 0)
        return list(node.value)

    def scalar(self, node: yaml.Node, what: str) -> Scalar:
        """A plain value; infinite numbers and NaN are refused."""
        if not isinstance(node, yaml.ScalarNode) or node.tag not in PLAIN:
            raise self.shape(what, "a value", node)
        self._count(node, 0)
        value = _value(node)
        if value is None:
            raise self.shape(what, "a value", node)
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(
                f"{what}: {node.value} is no finite number",
                code="recipe-not-finite",
                where=self.at(node),
                hint="give a number",
            )
        return value

    def text(self, node: yaml.Node, what: str) -> str:
        """A scalar as its text, whatever YAML takes it for: a model may be called ``1e3``."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == NULL:
            raise self.shape(what, "text", node)
        self._count(node, 0)
        return str(node.value)

    def whole(self, node: yaml.Node, what: str) -> int:
        """A whole number, not below 0."""
        value = self.scalar(node, what)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            raise self.shape(what, "a whole number, not below 0", node)
        return value

    def known(self, table: dict[str, yaml.Node], allowed: tuple[str, ...], what: str) -> None:
        """Refuse a key that the form does not have, by its line."""
        for key, node in table.items():
            if key not in allowed:
                raise RecipeError(
                    f"{what}: unknown key {key[:80]!r}",
                    code="recipe-unknown-key",
                    where=self.at(node),
                    hint="known are " + ", ".join(allowed),
                )

    def _count(self, node: yaml.Node, depth: int) -> None:
        self.visited += 1
        if self.visited > MAX_NODES or depth > MAX_DEPTH:
            message = "aliases lead round in a circle, or to more than a recipe can hold"
            raise RecipeError(
                message, code="recipe-cyclic", where=self.at(node), hint="write the values out"
            )


def _value(node: yaml.ScalarNode) -> Scalar | None:
    """The safe constructor's value; None for a tagged scalar that it does not read."""
    try:
        value = yaml.safe_load(yaml.serialize(node))
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def is_null(node: yaml.Node) -> bool:
    """Nothing was written, or ``null``."""
    return isinstance(node, yaml.ScalarNode) and node.tag == NULL


def parse(text: str, where: str) -> tuple[Reading, yaml.Node]:
    """The one document of ``text``; ``RecipeError`` (``recipe-not-yaml``, ``recipe-too-large``,
    ``recipe-several``)."""
    reading = Reading(where)
    if len(text) > MAX_BYTES:
        raise RecipeError(
            f"more than {MAX_BYTES:,} bytes",
            code="recipe-too-large",
            where=reading.at(None),
            hint="no recipe is so long",
        )
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _not_yaml(reading, error) from None
    if len(documents) > 1:
        raise RecipeError(
            f"{len(documents)} documents in one file: merges that build on each other are not supported",
            code="recipe-several",
            where=reading.at(documents[1]),
            hint="give one recipe a file, and name the first one's output in the second",
        )
    if not documents or documents[0] is None:
        raise RecipeError(
            "the file is empty",
            code="recipe-not-yaml",
            where=reading.at(None),
            hint="docs/merging.md has the form",
        )
    return reading, documents[0]


def _not_yaml(reading: Reading, error: Exception) -> RecipeError:
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or "it nests too deep or holds bytes that are no text"
    return RecipeError(
        f"not YAML: {problem}",
        code="recipe-not-yaml",
        where=f"{reading.where}{line}",
        hint="check indentation and quotes at that line",
    )
