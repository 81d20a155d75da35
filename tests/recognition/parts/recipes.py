"""Recipes of merges in parts and with numbers that run over the model, as a person types them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["linear", "mixed", "part", "slerp", "taken", "ties"]

Recipe = dict[str, Any]
TOOL = {"dtype": "bfloat16", "parentage": {"profile": "mergekit-0.1.5"}}


def _entry(models: Mapping[str, Path], name: str, **numbers: Any) -> Recipe:
    return {"model": str(models[name]), **({"parameters": numbers} if numbers else {})}


def slerp(models: Mapping[str, Path], t: Any) -> Recipe:
    """From O to A."""
    return {
        "merge_method": "slerp",
        "base_model": str(models["O"]),
        "models": [_entry(models, "O"), _entry(models, "A")],
        "parameters": {"t": t},
        **TOOL,
    }


def linear(models: Mapping[str, Path], a: Any, b: Any) -> Recipe:
    """Of A and B."""
    entries = [_entry(models, "A", weight=a), _entry(models, "B", weight=b)]
    return {"merge_method": "linear", "models": entries, **TOOL}


def ties(models: Mapping[str, Path], density: Any = 0.5) -> Recipe:
    """O with A, of the given density, and B."""
    entries = [
        _entry(models, "A", weight=0.6, density=density),
        _entry(models, "B", weight=0.3, density=0.3),
    ]
    return {"merge_method": "ties", "base_model": str(models["O"]), "models": entries, **TOOL}


def taken(models: Mapping[str, Path], name: str) -> Recipe:
    """One model as it is."""
    return {"merge_method": "passthrough", "models": [_entry(models, name)]}


def part(recipe: Recipe, **region: Any) -> Recipe:
    """The recipe for a region: ``layers``, ``filter``, ``tensors``."""
    return {**region, **recipe}


def mixed(*parts: Recipe, out: str = "bfloat16") -> Recipe:
    """Parts in order."""
    return {"merge_method": "mixed", "parts": list(parts), "out_dtype": out}
