"""Recipes in parts: each part makes its tensors as it would alone; what is no such recipe is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.errors import RecipeError
from parentage.merging.recipe_reading import recipe_from_text
from parentage.merging.recipe_writing import recipe_digest, recipe_text
from tests.merging.models import bits_of, llama, recipe_file, write_model

FOREST = """
merge_method: mixed
parts:
- layers: [0, 2]
  filter: self_attn
  merge_method: slerp
  base_model: a
  models: [{model: a}, {model: b}]
  parameters: {t: [0.2, 0.8]}
  dtype: bfloat16
  parentage: {profile: mergekit-0.1.5}
- tensors: [model.norm.weight, lm_head.weight]
  merge_method: passthrough
  models: [{model: b}]
- merge_method: linear
  models: [{model: a, parameters: {weight: 0.6}}, {model: b, parameters: {weight: 0.4}}]
out_dtype: bfloat16
parentage: {seed: 7}
"""


def test_a_recipe_in_parts_is_written_as_it_was_read() -> None:
    recipe = recipe_from_text(FOREST)
    again = recipe_from_text(recipe_text(recipe))
    assert again == recipe
    assert recipe_digest(again) == recipe_digest(recipe)
    assert [str(m) for m in recipe.named_models()] == ["a", "b"]


def _made(folder: Path, recipe: Mapping[str, Any]) -> dict[str, Any]:
    api.merge(recipe_file(folder, recipe), folder / "out", api.MergeOptions(workers=1))
    return bits_of(folder / "out")


def test_each_part_makes_what_it_would_make_alone(tmp_path: Path) -> None:
    a, b = (str(write_model(tmp_path / name, llama(k))) for k, name in enumerate("ab"))
    models = [{"model": a}, {"model": b}]
    slerp = {"merge_method": "slerp", "base_model": a, "models": models, "parameters": {"t": [0.2, 0.8]}}
    weighed = [{**m, "parameters": {"weight": w}} for m, w in zip(models, (0.6, 0.4), strict=True)]
    linear = {"merge_method": "linear", "models": weighed}
    taken = {"merge_method": "passthrough", "models": [{"model": b}]}
    parts = [
        {"layers": [1, 3], "filter": ["self_attn", "norm"], **slerp},
        {"tensors": ["lm_head.weight"], **taken},
        linear,
    ]
    alone = [_made(tmp_path / str(k), r) for k, r in enumerate((slerp, taken, linear))]
    own = _made(tmp_path / "mixed", {"merge_method": "mixed", "parts": parts})
    assert list(own) == list(alone[2])
    for name, bits in own.items():
        inside = any(f"layers.{k}." in name for k in (1, 2)) and ("self_attn" in name or "norm" in name)
        assert bits == alone[0 if inside else 1 if name == "lm_head.weight" else 2][name], name
    out = tmp_path / "mixed" / "out"
    assert api.replay(tmp_path / "mixed" / "recipe.yaml", str(out)).holds
    assert api.replay(out / "merge-recipe.yaml", str(out)).holds


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("merge_method: mixed", "merge_method: linear", "recipe-shape"),
        ("out_dtype", "dtype: float16\nout_dtype", "recipe-unsupported"),
        ("layers: [0, 2]", "layers: [2, 0]", "recipe-shape"),
        ("layers: [0, 2]", "layer: [0, 2]", "recipe-unknown-key"),
        ("- merge_method: linear", "- filter: mlp\n  merge_method: linear", "recipe-shape"),
        ("merge_method: passthrough", "merge_method: mixed", "recipe-shape"),
        ("tensors: [model.norm.weight, lm_head.weight]", "tensors: []", "recipe-shape"),
        ("  models: [{model: b}]\n- merge", "- merge", "recipe-shape"),
    ],
)
def test_what_is_no_recipe_in_parts_is_refused(before: str, after: str, code: str) -> None:
    assert FOREST.count(before) == 1
    with pytest.raises(RecipeError) as refused:
        recipe_from_text(FOREST.replace(before, after))
    assert refused.value.code == code


def test_parts_that_are_none_are_refused() -> None:
    with pytest.raises(RecipeError):
        recipe_from_text("merge_method: mixed\nparts: []\n")
    with pytest.raises(RecipeError):
        recipe_from_text("merge_method: mixed\nmodels: [{model: a}]\n")
