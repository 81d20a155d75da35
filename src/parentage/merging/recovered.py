"""The recipe that an audit recovered, as a file that merges and replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from parentage.checkpoints.locators import at_revision
from parentage.errors import ParentageError
from parentage.merging.recovered_adapters import combined_adapters, combined_recipe
from parentage.merging.recovered_method import (
    mixed_recipe,
    recognised_parts,
    recognised_recipe,
    recognised_replay,
)
from parentage.methods.method import ONE_ARITHMETIC
from parentage.records.dtypes import DType
from parentage.records.evidence import Evidence, ModelPin, Replay
from parentage.records.recipe import Clause, ModelName, Recipe, Setting, SourceSlice
from parentage.records.recognition import MethodReplay

__all__ = ["NotRecoveredError", "Recovered", "place_of", "recovered", "recovered_recipe"]

NAMES: Final = {DType.BF16: "bfloat16", DType.F16: "float16", DType.F32: "float32"}
# Arithmetics that divide by the sum of weights.
DIVIDING: Final = ("fp32-fma", "fp32-divided", "mergekit-0.1.4")
HINT: Final = "give the models that it may be made of with --parent"


class NotRecoveredError(ParentageError):
    """No recipe explains the suspect."""

    exit_code = 5
    default_code = "recipe-not-recovered"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an audit recovered: the recipe; how many of the elements where operands differ it gives, and how
    many there are; on how many tensors; is it one of ``adapters`` that were combined over a base?"""

    recipe: Recipe
    matches: int
    informative: int
    tensors: int
    adapters: bool = False


def recovered_recipe(found: Evidence) -> Recipe:
    """The recipe alone (``recovered``)."""
    return recovered(found).recipe


def recovered(found: Evidence) -> Recovered:
    """The replayed recipe, its arithmetic and dtypes; tensors with numbers of their own by name.

    A method that gives every element, where one was recognised; else the best linear recipe.

    Raises ``NotRecoveredError`` where nothing was replayed, or the suspect's dtypes are of several kinds.
    """
    method = recognised_replay(found)
    parts = (method,) if method is not None else recognised_parts(found)
    if parts:
        recipe = _of_parts(found, parts)
        matches, informative = sum(p.matches for p in parts), sum(p.informative for p in parts)
        return Recovered(recipe, matches, informative, sum(len(p.tensors) for p in parts))
    combined = combined_adapters(found)
    if combined is not None:
        recipe = combined_recipe(combined, [place_of(found.models[k]) for k in combined.models[1:]])
        counts = combined.measures["matches"], combined.measures["informative"]
        return Recovered(recipe, *counts, len(combined.tensors), adapters=True)
    replay = next((r for r in found.replays if r.subject == 0), None)
    if replay is None:
        raise NotRecoveredError("no recipe was replayed", hint=HINT)
    recipe = _of_blend(found, replay)
    return Recovered(recipe, replay.informative_matches, replay.informative, len(replay.tensors))


def _of_blend(found: Evidence, replay: Replay) -> Recipe:
    cast, out = _dtypes(found, replay)
    models = tuple(
        SourceSlice(ModelName(place_of(found.models[index])), None, {"weight": _weight(replay, k)})
        for k, index in enumerate(replay.parents)
    )
    return Recipe(
        method="linear",
        models=models,
        parameters={"normalize": Setting((Clause(replay.arithmetic in DIVIDING),))},
        dtype=NAMES[cast],
        out_dtype=NAMES[out],
        profile=f"{ONE_ARITHMETIC}{replay.arithmetic}",
    )


def _of_method(found: Evidence, replay: MethodReplay) -> Recipe:
    if replay.out not in NAMES:
        raise NotRecoveredError(
            f"the suspect's tensors are stored in several formats ({replay.out})",
            hint="write the recipe by hand: a recipe has one out_dtype",
        )
    names = {dtype.value: name for dtype, name in NAMES.items()}
    return recognised_recipe(replay, lambda model: place_of(found.models[model]), names)


def _of_parts(found: Evidence, parts: Sequence[MethodReplay]) -> Recipe:
    stored = {dtype for part in parts for dtype in part.out.split()}
    if len(parts) == 1:
        return _of_method(found, parts[0])
    if len(stored) != 1 or not stored <= {d.value for d in NAMES}:
        raise NotRecoveredError(
            f"the suspect's tensors are stored in several formats ({', '.join(sorted(stored))})",
            hint="write the recipe by hand: a recipe has one out_dtype",
        )
    names = {dtype.value: name for dtype, name in NAMES.items()}
    return mixed_recipe(parts, lambda model: place_of(found.models[model]), names, stored.pop())


def place_of(pin: ModelPin) -> str:
    """Where a recipe finds the model that was audited."""
    return at_revision(pin.locator, pin.revision if isinstance(pin.revision, str) else None)


def _weight(replay: Replay, k: int) -> Setting:
    own = [
        t for t in replay.tensors if t.weights != replay.weights and len(t.weights) == len(replay.weights)
    ]
    # A filter holds for every name that contains it: the longer names come first.
    own.sort(key=lambda t: (-len(t.name), t.name))
    clauses = [Clause(float(t.weights[k]), t.name) for t in own]
    return Setting((*clauses, Clause(float(replay.weights[k]))))


def _dtypes(found: Evidence, replay: Replay) -> tuple[DType, DType]:
    """What operands are cast to and the blend is rounded to, and what is stored."""
    names = {t.name for t in replay.tensors}
    tensors = [t for t in found.tensors if t.name in names] or list(found.tensors)
    stored = _one([t.dtypes[0] for t in tensors])
    kinds = {t.effective_dtypes[0] for t in tensors}
    held = DType(kinds.pop()) if len(kinds) == 1 else stored
    if stored not in NAMES or held not in NAMES:
        raise NotRecoveredError(f"a merge stored in {stored.value} has no recipe here", hint=HINT)
    if replay.cast in {d.value for d in NAMES}:
        return DType(replay.cast), stored
    return (held if held is not stored else DType.F32), stored


def _one(dtypes: Sequence[str]) -> DType:
    kinds = sorted(set(dtypes))
    if len(kinds) != 1:
        raise NotRecoveredError(
            f"the suspect's tensors are stored in several formats ({', '.join(kinds)})",
            hint="write the recipe by hand: a recipe has one out_dtype",
        )
    return DType(kinds[0])
