"""Recipes: mergekit's own form is read, written and read again; each refusal names its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentage.errors import InputMissingError, RecipeError
from parentage.merging.recipe_reading import read_recipe, recipe_from_text
from parentage.merging.recipe_writing import recipe_digest, recipe_text
from parentage.records.recipe import (
    Clause,
    ModelName,
    OutputSlice,
    Recipe,
    Setting,
    SourceSlice,
    TokenizerChoice,
    TokenSource,
)

LINEAR = """\
models:
  - model: org/first@v1
    parameters:
      weight: 0.6
  - model: ./second+./adapter
    parameters:
      weight: [0, 0.25, 1e-1]
merge_method: linear
dtype: bfloat16
parameters:
  normalize: false
"""
GRADIENT = """\
slices:
  - sources:
      - model: a
        layer_range: [0, 32]
      - model: b
        layer_range: [0, 32]
merge_method: slerp
base_model: a
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5 # fallback for rest of tensors
dtype: float16
"""
TOKENS = """\
merge_method: linear
models:
  - {model: a, parameters: {weight: 1}}
  - {model: b, parameters: {weight: 1}}
base_model: {model: {path: a, revision: main}}
tokenizer:
  source: union
  pad_to_multiple_of: 64
  tokens:
    <|im_start|>:
      source: {kind: model_token, model: b, token: "<|start|>"}
      force: true
    <|x|>: {source: {kind: model_token, model: b, token_id: 7}}
    <|y|>: {source: {kind: zero}}
    <|z|>: {source: b}
chat_template: auto
parentage: {profile: mergekit-0.1.5, seed: 42}
"""


def test_a_linear_recipe_is_read() -> None:
    recipe = recipe_from_text(LINEAR)
    assert recipe.method == "linear"
    assert recipe.dtype == "bfloat16"
    assert [s.model for s in recipe.models] == [
        ModelName("org/first@v1"),
        ModelName("./second", "./adapter"),
    ]
    assert recipe.models[0].parameters["weight"] == Setting((Clause(0.6),))
    # YAML 1.1 reads 1e-1, which has no point, as text; what it is decides the parameter's kind.
    assert recipe.models[1].parameters["weight"] == Setting((Clause((0, 0.25, "1e-1")),))
    assert recipe.parameters["normalize"] == Setting((Clause(False),))


def test_filters_and_gradients_are_read_in_order() -> None:
    recipe = recipe_from_text(GRADIENT)
    assert recipe.slices[0].sources[1].layers == (0, 32)
    assert recipe.parameters["t"].clauses == (
        Clause((0, 0.5, 0.3, 0.7, 1), "self_attn"),
        Clause((1, 0.5, 0.7, 0.3, 0), "mlp"),
        Clause(0.5),
    )
    assert recipe.parameters["t"].line == 11


def test_tokens_and_our_own_key_are_read() -> None:
    recipe = recipe_from_text(TOKENS)
    assert recipe.base_model == ModelName("a@main")
    assert (recipe.profile, recipe.seed) == ("mergekit-0.1.5", 42)
    assert recipe.tokenizer == TokenizerChoice(
        "union",
        {
            "<|im_start|>": TokenSource(ModelName("b"), "<|start|>", True),
            "<|x|>": TokenSource(ModelName("b"), 7),
            "<|y|>": TokenSource(None),
            "<|z|>": TokenSource(ModelName("b")),
        },
        64,
    )


def test_anchors_and_merge_keys_are_followed() -> None:
    text = """\
merge_method: linear
models:
  - model: a
    parameters: &common {weight: 0.5, density: 0.1}
  - model: b
    parameters: {<<: *common, weight: 0.25}
"""
    found = recipe_from_text(text).models[1].parameters
    assert found == {"weight": Setting((Clause(0.25),)), "density": Setting((Clause(0.1),))}


def test_the_digest_depends_on_what_is_said_and_not_on_how() -> None:
    other = "# a comment\n" + LINEAR.replace("weight: 0.6", "weight: 0.60")
    moved = "merge_method: linear\n" + LINEAR.replace("merge_method: linear\n", "")
    assert recipe_digest(recipe_from_text(LINEAR)) == recipe_digest(recipe_from_text(other))
    assert recipe_digest(recipe_from_text(LINEAR)) == recipe_digest(recipe_from_text(moved))
    changed = LINEAR.replace("0.6", "0.61")
    assert recipe_digest(recipe_from_text(LINEAR)) != recipe_digest(recipe_from_text(changed))


NAMES = st.text("abcXYZ019/._-+@ é", min_size=1, max_size=12).filter(lambda s: s.strip() == s)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-4, 4, allow_nan=False),
    st.sampled_from(["1e-3", "x", "yes"]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, min_size=1, max_size=4).map(tuple))
CLAUSES = st.lists(st.builds(Clause, VALUES, st.none() | NAMES), min_size=1, max_size=3).map(tuple)
SETTINGS = st.dictionaries(NAMES, st.builds(Setting, CLAUSES), max_size=3)
MODELS = st.builds(ModelName, NAMES, st.none() | NAMES.filter(lambda s: "+" not in s))
SOURCES = st.builds(SourceSlice, MODELS, st.none(), SETTINGS)
SLICES = st.builds(
    OutputSlice,
    st.lists(st.builds(SourceSlice, MODELS, st.just((2, 5)), SETTINGS), min_size=1, max_size=2).map(tuple),
    st.none() | MODELS,
    SETTINGS,
)


@given(
    models=st.lists(SOURCES, min_size=1, max_size=3).map(tuple),
    slices=st.none() | st.lists(SLICES, min_size=1, max_size=2).map(tuple),
    base=st.none() | MODELS,
    parameters=SETTINGS,
    seed=st.none() | st.integers(0, 2**40),
)
def test_what_is_written_reads_back_as_the_same_recipe(
    models: tuple[SourceSlice, ...],
    slices: tuple[OutputSlice, ...] | None,
    base: ModelName | None,
    parameters: dict[str, Setting],
    seed: int | None,
) -> None:
    recipe = Recipe(
        "linear",
        models=() if slices else models,
        slices=slices or (),
        base_model=base,
        parameters=parameters,
        seed=seed,
    )
    again = recipe_from_text(recipe_text(recipe))
    assert again == recipe
    assert recipe_digest(again) == recipe_digest(recipe)


ONE = "merge_method: linear\nmodels:\n  - model: a\n"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "recipe-not-yaml", 0),
        ("a: [", "recipe-not-yaml", 1),
        ("\x00", "recipe-not-yaml", 0),
        ("- a\n", "recipe-shape", 1),
        (ONE + "---\n" + ONE, "recipe-several", 5),
        (ONE + "dtypes: float32\n", "recipe-unknown-key", 4),
        (ONE + "    weight: 1\n", "recipe-unknown-key", 4),
        (ONE + "merge_method: slerp\n", "recipe-duplicate-key", 4),
        (ONE + "dtype: int4\n", "recipe-dtype", 4),
        (ONE + "parameters:\n  weight: .nan\n", "recipe-not-finite", 5),
        (ONE + "parameters:\n  weight: [1, -.inf]\n", "recipe-not-finite", 5),
        (ONE + "parameters:\n  weight: []\n", "recipe-shape", 5),
        (ONE + "parameters:\n  weight: {filter: x}\n", "recipe-shape", 5),
        (ONE + "parameters:\n  weight: !!python/object/apply:os.getcwd []\n", "recipe-shape", 5),
        (ONE + "parameters:\n  weight: !!python/name:os.system x\n", "recipe-shape", 5),
        (ONE + "modules: {text: {}}\n", "recipe-unsupported", 4),
        (ONE + "slices: []\n", "recipe-shape", 1),
        ("merge_method: linear\nmodels: []\n", "recipe-shape", 2),
        ("models: [{model: a}]\n", "recipe-shape", 1),
        ("merge_method: x\nmodels: [{model: a+b+c}]\n", "recipe-shape", 2),
        ("merge_method: x\nmodels: [{model: {model: a, override_architecture: b}}]",
         "recipe-unsupported", 2),
        ("merge_method: x\nslices:\n- sources: [{model: a, layer_range: [3, 3]}]\n", "recipe-shape", 3),
        ("merge_method: x\nslices:\n- sources: [{model: a, layer_range: [0, 2]}]\n  residual_weight: 1\n",
         "recipe-unsupported", 4),
        (
            "merge_method: x\nslices:\n- sources:\n  - {model: a, layer_range: [0, 2]}\n"
            "  - {model: b, layer_range: [0, 3]}\n",
            "recipe-layers",
            4,
        ),
        (ONE + "tokenizer: {pad_to_multiple_of: 0}\n", "recipe-shape", 4),
        (ONE + "tokenizer: {tokens: {a: {source: {kind: other}}}}\n", "recipe-shape", 4),
        (ONE + "tokenizer: {}\ntokenizer_source: base\n", "recipe-shape", 4),
        ("&a\nmerge_method: x\nmodels: [{<<: *a}]\n", "recipe-unknown-key", 2),
        ("merge_method: x\nmodels: [&a {<<: *a}]\n", "recipe-cyclic", 2),
        ("x" * (2**20 + 1), "recipe-too-large", 0),
        ("[" * 5000, "recipe-not-yaml", 0),
    ],
)  # fmt: skip
def test_what_is_refused_has_a_code_and_its_line(text: str, code: str, line: int) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe_from_text(text, "r.yaml")
    assert refused.value.code == code
    if line:
        assert refused.value.where == f"r.yaml, line {line}"


def test_aliases_that_multiply_end_in_an_error() -> None:
    """Nine anchors of nine aliases each stand for 9**9 mappings."""
    lines = ["merge_method: x", "models:", "  - model: a", "    parameters:", "      w0: &w0 {a: 1}"]
    lines += [f"      w{k}: &w{k} {{<<: [{', '.join([f'*w{k - 1}'] * 9)}]}}" for k in range(1, 10)]
    with pytest.raises(RecipeError) as refused:
        recipe_from_text("\n".join(lines))
    assert refused.value.code in ("recipe-cyclic", "recipe-unknown-key")


def test_a_recipe_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputMissingError):
        read_recipe(tmp_path)


@given(st.text(max_size=80) | st.text("&*<>[]{}:,-!#| \nab01.", max_size=80))
def test_any_text_is_a_recipe_or_one_clear_error(text: str) -> None:
    """Any other exception, and any lasting work, fails this."""
    with suppress(RecipeError):
        recipe_from_text(text)
