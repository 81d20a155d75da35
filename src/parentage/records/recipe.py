"""A merge recipe as it was written: models or slices of them, a method, its parameters.

The form is that of mergekit's files (arcee-ai/mergekit, ``docs``), so that one file serves both tools. What
is this tool's own stands under the one key ``parentage``, which mergekit does not look at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "AdapterEntry",
    "Clause",
    "ModelName",
    "OutputSlice",
    "Recipe",
    "RecipePart",
    "Scalar",
    "Setting",
    "Settings",
    "SourceSlice",
    "TokenSource",
    "TokenizerChoice",
    "plain_digest",
]

Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class ModelName:
    """Where a model lies, as a locator, and the adapter that is merged into it first, if any."""

    model: str
    adapter: str | None = None

    def __str__(self) -> str:
        return self.model if self.adapter is None else f"{self.model}+{self.adapter}"

    @property
    def places(self) -> tuple[str, ...]:
        """The locators of model and adapter."""
        return (self.model,) if self.adapter is None else (self.model, self.adapter)


@dataclass(frozen=True, slots=True)
class Clause:
    """A value, or a gradient over depth, for tensors whose name contains ``filter`` (None: for all)."""

    value: Scalar | tuple[Scalar, ...]
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter's clauses in order: the first that fits a tensor counts. ``line``: in the file, or 0."""

    clauses: tuple[Clause, ...]
    line: int = field(default=0, compare=False)


Settings = Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """A model, or its layers [first, last) where ``layers`` is given, with parameters of its own."""

    model: ModelName
    layers: tuple[int, int] | None = None
    parameters: Settings = field(default_factory=dict)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class OutputSlice:
    """Layers of the output, one after another over the slices, from equally many of each source."""

    sources: tuple[SourceSlice, ...]
    base_model: ModelName | None = None
    parameters: Settings = field(default_factory=dict)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AdapterEntry:
    """An adapter by its place, and what its change is multiplied by."""

    place: str
    weight: float
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TokenSource:
    """The row of one token: that of ``model`` for ``token`` (a string, or an id), or zeros.

    ``force``: also for the models that have the token themselves.
    """

    model: ModelName | None
    token: str | int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class TokenizerChoice:
    """``source``: ``union``, ``base`` or a model."""

    source: str | ModelName
    tokens: Mapping[str, TokenSource] = field(default_factory=dict)
    pad_to_multiple_of: int | None = None


@dataclass(frozen=True, slots=True)
class RecipePart:
    """A recipe for some tensors of the output: those of ``layers`` [first, last) whose name holds one of
    ``filters``, where these are given; or the ``tensors`` that are listed."""

    recipe: Recipe
    layers: tuple[int, int] | None = None
    filters: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def everywhere(self) -> bool:
        """Does nothing bound it?"""
        return self.layers is None and not self.filters and not self.tensors

    def holds(self, name: str, layer: int | None) -> bool:
        """Is a tensor of the output, in a layer of the trunk or (None) outside, among them?"""
        if self.tensors:
            return name in self.tensors
        if self.layers is not None and (layer is None or not self.layers[0] <= layer < self.layers[1]):
            return False
        return not self.filters or any(f in name for f in self.filters)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Either ``models``, ``slices``, ``parts``, or ``adapters`` over ``base_model``. ``dtype``,
    ``out_dtype``: names as torch has them.

    ``profile``: whose arithmetic, ``seed``: of random methods; None where the recipe does not say.
    """

    method: str
    models: tuple[SourceSlice, ...] = ()
    slices: tuple[OutputSlice, ...] = ()
    base_model: ModelName | None = None
    parameters: Settings = field(default_factory=dict)
    dtype: str | None = None
    out_dtype: str | None = None
    tokenizer: TokenizerChoice | None = None
    chat_template: str | None = None
    name: str | None = None
    profile: str | None = None
    seed: int | None = None
    adapters: tuple[AdapterEntry, ...] = ()
    parts: tuple[RecipePart, ...] = ()

    def named_models(self) -> tuple[ModelName, ...]:
        """Every model that is read for its weights, once each, in order of mention; the base last unless
        it is also a source, then adapters that are combined over it."""
        sources = [*self.models, *(s for part in self.slices for s in part.sources)]
        bases = [self.base_model, *(part.base_model for part in self.slices)]
        named = [*(s.model for s in sources), *(b for b in bases if b is not None)]
        named += [ModelName(entry.place) for entry in self.adapters]
        named += [model for part in self.parts for model in part.recipe.named_models()]
        return tuple(dict.fromkeys(named))


def plain_digest(plain: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of a recipe's plain values as JSON with sorted keys and no spaces."""
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()
