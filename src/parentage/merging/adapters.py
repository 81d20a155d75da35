"""The adapters of a recipe: which of them change a tensor, by how much, and where peft's chance begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.checkpoints.adapters.settings import AdapterSettings
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import PlanError, RecipeError
from parentage.methods.method import Method
from parentage.methods.parameters import Addition, Additions, Factors
from parentage.numerics.storage.formats import to_float32
from parentage.records.recipe import ModelName, Recipe
from parentage.records.tensors import Adapted, TensorRef

__all__ = ["Over", "adapters_over", "check_adapters"]

ALONE: Final = ("adapter_linear", "adapter_cat")
# Siblings in the order in which transformers' Llama- and BERT-like models make them, which is the order in
# which peft comes to them. Numbers stand in their own order, and what is not here after what is.
ORDER: Final = (
    "embeddings",
    "word_embeddings",
    "position_embeddings",
    "token_type_embeddings",
    "embed_tokens",
    "wte",
    "wpe",
    "encoder",
    "layers",
    "layer",
    "self_attn",
    "attention",
    "attn",
    "self",
    "query",
    "key",
    "value",
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "c_attn",
    "c_fc",
    "c_proj",
    "mlp",
    "gate_proj",
    "up_proj",
    "down_proj",
    "intermediate",
    "output",
    "pooler",
)
PLACES: Final = {name: k for k, name in enumerate(ORDER)}


@dataclass(frozen=True, slots=True)
class Over:
    """The adapters over their base, in the recipe's order, with their weights."""

    models: tuple[AdaptedCheckpoint, ...]
    weights: tuple[float, ...]
    names: tuple[str, ...]

    def additions(self, tensor: str) -> Additions | None:
        """What they add to a tensor of the base; None where none of them changes it."""
        found = [
            (model, model.tensors[tensor].adapted, weight, name)
            for model, weight, name in zip(self.models, self.weights, self.names, strict=True)
        ]
        held = [(m, how, w, n) for m, how, w, n in found if how is not None]
        if not held:
            return None
        first = held[0][1]
        if len({(how.turned, how.rounded) for _, how, _, _ in held}) > 1:
            raise PlanError(
                "the adapters disagree on which way round the base keeps its matrices",
                code="plan-adapters",
                where=tensor,
                hint="check fan_in_fan_out in each adapter_config.json",
            )
        parts = tuple(Addition(w, how.scaling, partial(_factors, m, how), n) for m, how, w, n in held)
        ranks = tuple(_largest(m.settings) for m in self.models)
        return Additions(parts, ranks, self.models[0].settings.root, first.turned, first.rounded)

    def nbytes(self, tensor: str) -> int:
        """Bytes of the factors that a tensor takes."""
        held = [m.tensors[tensor].adapted for m in self.models]
        return sum(f.nbytes for how in held if how is not None for f in (how.a, how.b) if f is not None)

    def words_before(self, rank: int) -> int:
        """What peft draws for the new adapter's start values before it comes to combine: A twice and B once
        for each linear layer; for an embedding both once and B again, normal ones in groups of 16."""
        words = 0
        for name in sorted({name for model in self.models for name in model.adapted}):
            how = next(h for m in self.models if (h := m.tensors[name].adapted) is not None)
            assert how.a is not None
            assert how.b is not None
            inner, outer = rank * how.a.shape[1], rank * how.b.shape[0]
            normal = [n + (16 if n % 16 else 0) for n in (inner, outer)]
            words += normal[0] + 2 * normal[1] if how.rounded else 2 * inner + outer
        return words

    def rank_of(self, method: str, svd_rank: int = 0) -> int:
        """Of the adapter that peft makes; ``svd_rank`` 0: as large as the largest."""
        ranks = [_largest(m.settings) for m in self.models]
        if method == "adapter_cat":
            return sum(ranks)
        return svd_rank or max(ranks)

    def in_order(self, tensors: Sequence[str]) -> list[str]:
        """The tensors in the order in which peft comes to them."""
        return sorted(tensors, key=_place)


def _place(name: str) -> list[tuple[int, int, str]]:
    parts = name.split(".")
    return [
        (0, int(p), "") if p.isdecimal() and len(p) < 7 else (1, PLACES.get(p, len(ORDER)), p)
        for p in parts
    ]


def _largest(settings: AdapterSettings) -> int:
    return int(max(settings.rank, *settings.ranks.values(), 0))


def _factors(model: AdaptedCheckpoint, how: Adapted) -> Factors:
    assert how.a is not None
    assert how.b is not None
    return _values(model, how.a), _values(model, how.b)


def _values(model: AdaptedCheckpoint, ref: TensorRef) -> NDArray[np.float32]:
    return to_float32(model.read(ref, 0, ref.elements), ref.dtype).reshape(ref.shape)


def check_adapters(recipe: Recipe, method: Method) -> None:
    """Raises ``RecipeError`` (``recipe-adapters``) where recipe and method do not fit."""
    if method.adapters != bool(recipe.adapters):
        raise RecipeError(
            f"{method.id} combines adapters, and the recipe lists none"
            if method.adapters
            else f"{method.id} takes models, and the recipe lists adapters",
            code="recipe-adapters",
            hint="adapters: [{adapter: PLACE, weight: 0.7}, …] and a merge_method adapter_…",
        )
    if not method.adapters:
        return
    if recipe.base_model is not None and recipe.base_model.adapter is not None:
        raise RecipeError(
            "the base has an adapter of its own",
            code="recipe-adapters",
            where=str(recipe.base_model),
            hint="list that adapter too, or merge it in first",
        )
    if len(recipe.adapters) == 1 and method.id not in ALONE:
        raise RecipeError(
            f"{method.id} of one adapter",
            code="recipe-adapters",
            where=f"line {recipe.adapters[0].line}",
            hint="peft adds a single adapter as it is, whatever is asked for: merge_method: adapter_linear",
        )
    for k, entry in enumerate(recipe.adapters):
        if entry.place in {e.place for e in recipe.adapters[:k]}:
            raise RecipeError(
                f"the adapter {entry.place} is listed twice",
                code="recipe-adapters",
                where=f"line {entry.line}",
                hint="give it once, with the sum of the weights",
            )


def adapters_over(recipe: Recipe, opened: Mapping[ModelName, Checkpoint]) -> Over:
    """Each adapter over the base; raises ``CheckpointError`` where one is none, or is another model's, and
    ``PlanError`` (``plan-adapters``) for what peft loses when it combines adapters."""
    assert recipe.base_model is not None
    base = opened[recipe.base_model]
    models = [AdaptedCheckpoint(base, opened[ModelName(entry.place)]) for entry in recipe.adapters]
    for model, entry in zip(models, recipe.adapters, strict=True):
        for what in _lost(model):
            raise PlanError(
                f"the adapter {entry.place} holds {what}, which no combination of adapters keeps",
                code="plan-adapters",
                where=f"line {entry.line}" if entry.line else "",
                hint="merge it in by itself: a model BASE+ADAPTER",
            )
    places = tuple(e.place for e in recipe.adapters)
    return Over(tuple(models), tuple(e.weight for e in recipe.adapters), places)


def _lost(model: AdaptedCheckpoint) -> Iterator[str]:
    for name in model.adapted:
        how = model.tensors[name].adapted
        assert how is not None
        if how.magnitude is not None:
            yield f"learned lengths of rows (DoRA, {name})"
        if how.saved is not None:
            yield f"a whole tensor ({name})"
