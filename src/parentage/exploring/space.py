"""A space of merge recipes: a recipe in which values are ranges or choices, and the recipes in it.

A value of the recipe may be ``{low: 0, high: 1}`` (numbers, to four decimals) or ``{choices: [a, b]}``.
What a search finds is the file's own text with a value in each of these places, comments and all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import yaml

from parentage.errors import InputMissingError, RecipeError
from parentage.merging.recipe_nodes import MAX_BYTES, Reading, parse
from parentage.merging.recipe_reading import recipe_from_text
from parentage.merging.recipe_writing import recipe_digest
from parentage.records.recipe import ModelName, Recipe, Scalar
from parentage.training.drawing import draws

__all__ = ["DECIMALS", "Candidate", "Knob", "Space", "read_space"]

DECIMALS: Final = 4
MOST_KNOBS: Final = 64
MOST_CHOICES: Final = 256
ANCHOR: Final = re.compile(r"^&\S+\s+")


@dataclass(frozen=True, slots=True)
class Knob:
    """A place of the recipe: from ``low`` to ``high``, or one of ``choices``, where these are given."""

    name: str
    low: float
    high: float
    choices: tuple[Scalar, ...]
    start: int
    end: int

    @property
    def continuous(self) -> bool:
        """Is it a range?"""
        return not self.choices

    def at(self, share: float) -> Scalar:
        """The value a share (0 to 1) of the way; of choices the one that the share falls on."""
        if self.choices:
            return self.choices[min(len(self.choices) - 1, int(share * len(self.choices)))]
        value = round(self.low + share * (self.high - self.low), DECIMALS)
        return min(self.high, max(self.low, value))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One recipe of the space. ``values`` by the knobs' names; ``digest``: of the recipe."""

    values: Mapping[str, Scalar]
    text: str
    recipe: Recipe
    digest: str


@dataclass(frozen=True, slots=True)
class Space:
    """The file's text and its knobs, in the order in which they stand there."""

    text: str
    where: str
    knobs: tuple[Knob, ...]

    def candidate(self, shares: Sequence[float]) -> Candidate:
        """The recipe at a share of each knob. Raises ``RecipeError`` where it is none."""
        values = {knob.name: knob.at(share) for knob, share in zip(self.knobs, shares, strict=True)}
        text, last = "", 0
        for knob in self.knobs:
            text += self.text[last : knob.start] + _written(values[knob.name])
            last = knob.end
        text += self.text[last:]
        recipe = recipe_from_text(text, self.where)
        return Candidate(values, text, recipe, recipe_digest(recipe))

    def examples(self) -> Iterator[Candidate]:
        """The middle of the space, and each choice there."""
        middle = [0.5] * len(self.knobs)
        yield self.candidate(middle)
        for place, knob in enumerate(self.knobs):
            for k in range(len(knob.choices)):
                share = (k + 0.5) / len(knob.choices)
                yield self.candidate([*middle[:place], share, *middle[place + 1 :]])

    def models(self) -> tuple[ModelName, ...]:
        """Every model that some recipe of the space names, as far as one choice at a time tells."""
        return tuple(dict.fromkeys(n for one in self.examples() for n in one.recipe.named_models()))

    def drawn(self, count: int, seed: int) -> tuple[Candidate, ...]:
        """Different candidates, drawn evenly; fewer where the space has no more. Raises ``RecipeError``."""
        found: dict[str, Candidate] = {}
        source = draws(seed, "recipes", 2**32)
        for _ in range(20 * count):
            one = self.candidate([next(source) / 2**32 for _ in self.knobs])
            found.setdefault(one.digest, one)
            if len(found) == count:
                break
        return tuple(found.values())


def _written(value: Scalar) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    return text.removesuffix("\n...").removesuffix("...").strip()


def read_space(path: Path) -> Space:
    """Read a space; its middle must be a recipe.

    Raises ``InputMissingError``, ``RecipeError`` (``space-knobs``, and what reading a recipe raises).
    """
    try:
        if not path.is_file():
            raise InputMissingError("there is no such recipe", where=str(path), hint="name a YAML file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputMissingError(
            f"cannot be read: {error.strerror}", code="input-unreadable", where=str(path)
        ) from None
    return space_from_text(raw.decode("utf-8", errors="replace"), str(path))


def space_from_text(text: str, where: str) -> Space:
    """The same from YAML text."""
    # PyYAML counts a byte order mark as no character.
    text = text.removeprefix("\ufeff")
    reading, root = parse(text, where)
    knobs = tuple(sorted(_knobs(reading, text, root), key=lambda k: k.start))
    if not 1 <= len(knobs) <= MOST_KNOBS:
        _fail(where, f"it has {len(knobs)} places to search, and 1 to {MOST_KNOBS} are taken")
    space = Space(text, where, knobs)
    space.candidate([0.5] * len(knobs))
    return space


def _knobs(reading: Reading, text: str, root: yaml.Node) -> Iterator[Knob]:
    seen: dict[int, yaml.Node] = {}
    waiting = [("", root)]
    while waiting:
        name, node = waiting.pop(0)
        # A node that aliases lead to is one place.
        if id(node) in seen:
            continue
        seen[id(node)] = node
        if isinstance(node, yaml.SequenceNode):
            waiting += [(f"{name}.{k}", part) for k, part in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            keys = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
            if keys & {"low", "high", "choices"}:
                yield _knob(reading, text, name.strip("."), node)
                continue
            waiting += [(f"{name}.{key.value}", value) for key, value in node.value]


def _knob(reading: Reading, text: str, name: str, node: yaml.MappingNode) -> Knob:
    where = reading.at(node)
    start, end = node.start_mark.index, node.end_mark.index
    # An anchor stands before the braces and stays there.
    start += len(text[start:end]) - len(ANCHOR.sub("", text[start:end], count=1))
    if text[start] != "{" or text[end - 1] != "}":
        _fail(where, f"{name}: a range is written in braces on one line")
    table = reading.table(node, name)
    if set(table) == {"choices"}:
        found = tuple(reading.scalar(n, name) for n in reading.items(table["choices"], name))
        if not 1 <= len(found) <= MOST_CHOICES:
            _fail(where, f"{name}: 1 to {MOST_CHOICES} choices are taken, not {len(found)}")
        return Knob(name, 0.0, 0.0, found, start, end)
    if set(table) != {"low", "high"}:
        _fail(where, f"{name}: a range has low and high and nothing else")
    low, high = (reading.scalar(table[key], name) for key in ("low", "high"))
    if not _is_number(low) or not _is_number(high) or not float(low) < float(high):
        _fail(where, f"{name}: low and high are numbers, and low is the smaller")
    return Knob(name, float(low), float(high), (), start, end)


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _fail(where: str, why: str) -> NoReturn:
    raise RecipeError(
        why,
        code="space-knobs",
        where=where,
        hint="weight: {low: 0, high: 1}, or merge_method: {choices: [linear, ties]}",
    )
