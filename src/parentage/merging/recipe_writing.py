"""A recipe as plain values, as YAML, and its digest, which does not depend on how it was typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from parentage.records.recipe import (
    Clause,
    ModelName,
    OutputSlice,
    Recipe,
    RecipePart,
    Setting,
    SourceSlice,
    TokenizerChoice,
    TokenSource,
    plain_digest,
)

__all__ = ["plain_recipe", "recipe_digest", "recipe_text"]

Plain = dict[str, Any]


def plain_recipe(recipe: Recipe) -> Plain:
    """The recipe in mergekit's form, of plain values that JSON and YAML hold."""
    own = _kept({"profile": recipe.profile, "seed": recipe.seed})
    tokenizer = None if recipe.tokenizer is None else _tokenizer(recipe.tokenizer)
    return _kept(
        {
            "name": recipe.name,
            "merge_method": recipe.method,
            "base_model": _name(recipe.base_model),
            "models": [_source(s) for s in recipe.models],
            "slices": [_slice(s) for s in recipe.slices],
            "adapters": [{"adapter": a.place, "weight": a.weight} for a in recipe.adapters],
            "parts": [_part(p) for p in recipe.parts],
            "parameters": _settings(recipe.parameters),
            "dtype": recipe.dtype,
            "out_dtype": recipe.out_dtype,
            "tokenizer": tokenizer,
            "chat_template": recipe.chat_template,
            "parentage": own,
        }
    )


def recipe_text(recipe: Recipe) -> str:
    """YAML that reads back as the same recipe."""
    return yaml.safe_dump(plain_recipe(recipe), sort_keys=False, allow_unicode=True, width=100)


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256, in hexadecimal, of the recipe's plain values as JSON with sorted keys."""
    return plain_digest(plain_recipe(recipe))


def _kept(table: Plain) -> Plain:
    return {k: v for k, v in table.items() if v is not None and v not in ([], {})}


def _name(model: ModelName | None) -> str | Plain | None:
    if model is None:
        return None
    # A sign that the short form would split at is written in the long one.
    if ("+" in model.model and "://" not in model.model) or (model.adapter and "://" in model.model):
        return _kept({"model": model.model, "lora": model.adapter})
    return str(model)


def _source(source: SourceSlice) -> Plain:
    layers = None if source.layers is None else list(source.layers)
    settings = _settings(source.parameters)
    return _kept({"model": _name(source.model), "layer_range": layers, "parameters": settings})


def _slice(part: OutputSlice) -> Plain:
    return _kept(
        {
            "sources": [_source(s) for s in part.sources],
            "base_model": _name(part.base_model),
            "parameters": _settings(part.parameters),
        }
    )


def _part(part: RecipePart) -> Plain:
    region = {
        "layers": None if part.layers is None else list(part.layers),
        "filter": part.filters[0] if len(part.filters) == 1 else list(part.filters),
        "tensors": list(part.tensors),
    }
    return _kept({**region, **plain_recipe(part.recipe)})


def _settings(settings: Mapping[str, Setting]) -> Plain:
    return {name: _setting(setting) for name, setting in settings.items()}


def _setting(setting: Setting) -> Any:
    first = setting.clauses[0]
    if len(setting.clauses) == 1 and first.filter is None:
        return _value(first)
    return [_kept({"filter": c.filter}) | {"value": _value(c)} for c in setting.clauses]


def _value(clause: Clause) -> Any:
    return list(clause.value) if isinstance(clause.value, tuple) else clause.value


def _tokenizer(choice: TokenizerChoice) -> Plain:
    source = choice.source if isinstance(choice.source, str) else _name(choice.source)
    tokens = {name: _token(t) for name, t in choice.tokens.items()}
    return _kept({"source": source, "tokens": tokens, "pad_to_multiple_of": choice.pad_to_multiple_of})


def _token(token: TokenSource) -> Plain:
    force = {"force": True} if token.force else {}
    if token.model is None:
        return {"source": {"kind": "zero"}, **force}
    if token.token is None:
        return {"source": _name(token.model), **force}
    key = "token_id" if isinstance(token.token, int) else "token"
    return {"source": {"kind": "model_token", "model": _name(token.model), key: token.token}, **force}
