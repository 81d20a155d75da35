"""What a search of merge recipes tried, what it chose, and how much of the chosen score was luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.estimate import Estimate
from parentage.records.randopt import Against
from parentage.records.recipe import Scalar

__all__ = ["SCHEMA", "VERSION", "Chosen", "ParentScore", "RecipeSearch", "TriedRecipe"]

SCHEMA = "parentage.search"
VERSION = 1


@dataclass(frozen=True, slots=True)
class TriedRecipe:
    """``values``: of the places searched, by their names; ``tuned``: its score, of ``asked`` problems."""

    digest: str
    values: Mapping[str, Scalar]
    tuned: Estimate
    asked: int


@dataclass(frozen=True, slots=True)
class ParentScore:
    """A model of the recipe by itself, on the held-out problems."""

    model: str
    held_out: Estimate


@dataclass(frozen=True, slots=True)
class Chosen:
    """The recipe that the search ends with. ``over_fitted``: its tuned score, by which it was chosen, less
    its held-out one; ``held_out``: beside ``best_parent`` on the same problems."""

    digest: str
    values: Mapping[str, Scalar]
    recipe: str
    tuned: Estimate
    held_out: Against
    best_parent: str
    over_fitted: Estimate


@dataclass(frozen=True, slots=True)
class RecipeSearch:
    """``space``: the file's text; ``files``: SHA-256 of the models' weight files by locator; ``spent``:
    answers to tuned problems, of the budget in ``settings``."""

    tool: str
    space: str
    files: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Any]
    libraries: Mapping[str, str]
    spent: int
    tried: tuple[TriedRecipe, ...]
    parents: tuple[ParentScore, ...]
    chosen: Chosen
    limits: tuple[str, ...]
