"""Merges: what is written, whose bits they are, and that nothing vanishes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from parentage import api
from parentage.errors import ParentageError, PlanError, RecipeError
from parentage.merging.recipe_reading import read_recipe
from parentage.merging.recipe_writing import recipe_digest
from parentage.numerics.storage.formats import quantize, round_to
from parentage.records.dtypes import DType
from tests.merging.models import LAYERS, bits_of, llama, recipe_file, write_model
from tests.worlds.fixtures import FOLDER

KIT = FOLDER / "mergekit"


def linear(*models: tuple[Path, float], **more: Any) -> dict[str, Any]:
    """A linear recipe."""
    entries = [{"model": str(place), "parameters": {"weight": w}} for place, w in models]
    return {"merge_method": "linear", "models": entries, **more}


@pytest.mark.parametrize(
    ("fixture", "dtype", "normalize", "profile", "weights"),
    [
        ("linear", "bfloat16", True, "mergekit-0.1.5", (0.6, 0.4)),
        ("linear-0.1.4", "bfloat16", True, "mergekit-0.1.4", (0.6, 0.4)),
        ("linear-not-normalized", "bfloat16", False, "mergekit-0.1.5", (0.6015625, 0.400390625)),
    ],
)
def test_a_merge_has_the_bits_that_mergekit_wrote(
    fixture: str, dtype: str, normalize: bool, profile: str, weights: tuple[float, float], tmp_path: Path
) -> None:
    recipe = linear(
        (KIT / "A.safetensors", weights[0]),
        (KIT / "O.safetensors", weights[1]),
        dtype=dtype,
        parameters={"normalize": normalize},
    )
    api.merge(recipe_file(tmp_path, recipe), tmp_path / "out", api.MergeOptions(profile=profile))
    ours, theirs = bits_of(tmp_path / "out"), bits_of(KIT / f"{fixture}.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(ours[name] == theirs[name] for name in theirs)


def two(tmp_path: Path, **more: Any) -> tuple[Path, Path]:
    """Two models."""
    return (
        write_model(tmp_path / "a", llama(1), **more),
        write_model(tmp_path / "b", llama(2), **more),
    )


def test_each_tensor_is_the_blend_worked_out_by_hand(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    api.merge(recipe_file(tmp_path, linear((a, 0.75), (b, 0.25))), tmp_path / "out")
    ours = bits_of(tmp_path / "out")
    for name, first in llama(1).items():
        parts = [quantize(x.astype(np.float64).reshape(-1), DType.BF16) for x in (first, llama(2)[name])]
        # .75 and .25 are exact: one float32 sum, one rounding.
        blend = (np.float32(0.75) * parts[0].astype(np.float32)) + (
            np.float32(0.25) * parts[1].astype(np.float32)
        )
        assert ours[name] == (DType.BF16, first.shape, round_to(blend, DType.BF16).tobytes())


def test_the_safetensors_library_reads_it_and_digests_are_those_of_the_files(tmp_path: Path) -> None:
    a, b = two(tmp_path, shards=2)
    record = api.merge(
        recipe_file(tmp_path, linear((a, 0.5), (b, 0.5), out_dtype="float32")),
        tmp_path / "out",
        api.MergeOptions(shard_bytes=1500),
    )
    assert len(record.files) > 2
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    seen: dict[str, str] = {}
    for file in record.files:
        path = tmp_path / "out" / file.name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        assert path.stat().st_size == file.size
        seen |= dict.fromkeys(load_file(path), file.name)
    assert seen == index["weight_map"]
    assert set(seen) == set(llama(1))
    for parent, folder in zip(record.parents, (a, b), strict=True):
        digests = {f.name: f.sha256 for f in parent.files}
        assert digests == {
            p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.safetensors")
        }


@pytest.mark.parametrize("workers", [1, 3])
def test_neither_threads_nor_files_move_a_bit(workers: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    large = {"w": rng.normal(0, 0.1, (1300, 1300)).astype(np.float32)}
    a = write_model(tmp_path / "a", large)
    b = write_model(tmp_path / "b", {"w": large["w"] + np.float32(0.01)})
    path = recipe_file(tmp_path, linear((a, 0.3), (b, 0.7)))
    api.merge(path, tmp_path / "one", api.MergeOptions(workers=1))
    record = api.merge(path, tmp_path / "other", api.MergeOptions(workers=workers))
    assert bits_of(tmp_path / "one") == bits_of(tmp_path / "other")
    data = (tmp_path / "other" / "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == record.files[0].sha256


def test_nothing_is_recast_unasked_and_nothing_vanishes(tmp_path: Path) -> None:
    """Float32 tensors among bfloat16 ones stay so; what one model alone has is copied, with the reason."""
    norm, head = "model.norm.weight", "mtp.layers.0.mlp.down_proj.weight"
    first = llama(1) | {head: llama(9)["lm_head.weight"], "ids": np.arange(4)}
    second = llama(2) | {"ids": np.arange(4)}
    a = write_model(tmp_path / "a", first, kept=[norm])
    b = write_model(tmp_path / "b", second, kept=[norm])
    record = api.merge(
        recipe_file(tmp_path, linear((a, 0.5), (b, 0.5), dtype="bfloat16")), tmp_path / "out"
    )
    ours, theirs = bits_of(tmp_path / "out"), bits_of(a)
    assert set(ours) == set(first)
    assert ours[norm][0] is DType.F32
    assert ours[head] == theirs[head]
    assert ours["ids"] == theirs["ids"]
    assert {c.tensor: c.reason for c in record.copied} == {
        head: f"copied from {a}: not in {b}",
        "ids": f"copied from {a}: it holds no floating-point numbers",
    }
    (note,) = [note for note in record.notes if "recasts nothing" in note]
    assert note.startswith("dtype: bfloat16 recasts nothing here: 1 tensor keeps its parents' dtype (F32)")
    assert "out_dtype: bfloat16" in note
    assert "--profile mergekit-0.1.5" in note


def test_out_dtype_recasts_everything_that_is_a_number(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    recipe = linear((a, 0.5), (b, 0.5), out_dtype="float16")
    api.merge(recipe_file(tmp_path, recipe), tmp_path / "out")
    assert {dtype for dtype, _, _ in bits_of(tmp_path / "out").values()} == {DType.F16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "float16"


def test_slices_stack_layers_and_the_config_counts_them(tmp_path: Path) -> None:
    kinds = {"layer_types": ["full", "linear", "linear"]}
    a = write_model(tmp_path / "a", llama(1), config=kinds)
    b = write_model(tmp_path / "b", llama(2), config=kinds)
    recipe = {
        "merge_method": "linear",
        "slices": [
            {"sources": [{"model": str(a), "layer_range": [0, 2], "parameters": {"weight": 1}}]},
            {"sources": [{"model": str(b), "layer_range": [1, 3], "parameters": {"weight": 1}}]},
        ],
    }
    record = api.merge(recipe_file(tmp_path, recipe), tmp_path / "out")
    ours, first, second = bits_of(tmp_path / "out"), bits_of(a), bits_of(b)
    for output, (source, layer) in enumerate([(first, 0), (first, 1), (second, 1), (second, 2)]):
        for tail in ("self_attn.q_proj.weight", "mlp.down_proj.weight", "input_layernorm.weight"):
            assert ours[f"model.layers.{output}.{tail}"] == source[f"model.layers.{layer}.{tail}"]
    assert ours["model.embed_tokens.weight"] == first["model.embed_tokens.weight"]
    assert ours["lm_head.weight"] == second["lm_head.weight"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["num_hidden_layers"] == 4
    assert config["layer_types"] == ["full", "linear", "linear", "linear"]
    dropped = {(d.parent, d.tensor) for d in record.dropped}
    assert (str(a), "model.layers.2.mlp.down_proj.weight") in dropped
    assert (str(b), "model.layers.0.mlp.down_proj.weight") in dropped
    # 3 tensors a layer, one layer of each; embeddings, norm and head of the one that gives none.
    assert len(dropped) == 9


def test_a_gradient_runs_over_the_layers_and_filters_choose(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    recipe = linear((a, 0), (b, 1), parameters={"normalize": False})
    recipe["models"][0]["parameters"]["weight"] = [
        {"filter": "mlp", "value": [0, 1]},
        {"value": 0.25},
    ]
    path = recipe_file(tmp_path, recipe)
    record = api.plan_merge(path)
    found = {p.name: p.parameters[str(a)]["weight"] for p in record.placed}
    for layer in range(LAYERS):
        assert found[f"model.layers.{layer}.mlp.down_proj.weight"] == layer / (LAYERS - 1)
        assert found[f"model.layers.{layer}.self_attn.q_proj.weight"] == 0.25
    assert found["model.embed_tokens.weight"] == 0.25


def test_the_label_carries_the_recipe_and_the_parents(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.6), (b, 0.3)))
    api.merge(path, tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "parentage.json").read_text())
    digest = recipe_digest(read_recipe(path))
    assert saved["recipe_sha256"] == digest
    assert [round(p["share"], 12) for p in saved["parents"]] == [round(0.6 / 0.9, 12), round(0.3 / 0.9, 12)]
    raw = (tmp_path / "out" / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert header["format"] == "pt"
    assert header["parentage.recipe_sha256"] == digest
    parents = json.loads(header["parentage.parents"])
    assert [p["sha256"] for p in parents] == [
        {"model.safetensors": hashlib.sha256((m / "model.safetensors").read_bytes()).hexdigest()}
        for m in (a, b)
    ]


def refused(tmp_path: Path, recipe: dict[str, Any], out: Path | None = None) -> ParentageError:
    """The error of a merge that leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    path = recipe_file(tmp_path / "recipes", recipe)
    with pytest.raises(ParentageError) as raised:
        api.merge(path, out or tmp_path / "out")
    after = sorted(p for p in tmp_path.rglob("*") if p not in (path, path.parent))
    assert after == [p for p in before if p not in (path, path.parent)]
    return raised.value


def test_what_makes_no_sense_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    empty = write_model(tmp_path / "empty", {})
    wide = write_model(tmp_path / "wide", llama(3) | {"model.norm.weight": np.ones(9, np.float32)})
    words = write_model(tmp_path / "words", llama(3, vocabulary=20))
    deep = write_model(tmp_path / "deep", llama(3, layers=4))
    part = {"model": str(a), "layer_range": [0, 9], "parameters": {"weight": 1}}
    cases = {
        "recipe-method": linear((a, 1), (b, 1)) | {"merge_method": "alchemy"},
        "recipe-unknown-parameter": linear((a, 1), (b, 1), parameters={"wieght": 1}),
        "weights-sum-zero": linear((a, 1), (b, -1)),
        "recipe-parameter": linear((a, "much"), (b, 1)),  # type: ignore[arg-type]
        "recipe-parameter-missing": {"merge_method": "linear", "models": [{"model": str(a)}]},
        "recipe-profile": linear((a, 1), (b, 1), parentage={"profile": "other"}),
        "adapter-config": linear((Path(f"{a}+{b}"), 1)),
        "plan-empty": linear((empty, 1), (empty, 1)),
        "plan-shape": linear((a, 1), (wide, 1)),
        "plan-vocabulary": linear((a, 1), (words, 1)),
        "plan-layers": linear((a, 1), (deep, 1)),
        "plan-dtype": linear((a, 1), (b, 1), out_dtype="float64"),
        "plan-chat-template": linear((a, 1), (b, 1), chat_template="vicuna"),
        "input-missing": linear((a, 1), (tmp_path / "nowhere", 1)),
    }
    for code, recipe in cases.items():
        assert refused(tmp_path, recipe).code == code
    assert (
        refused(tmp_path, {"merge_method": "linear", "slices": [{"sources": [part]}]}).code == "plan-layers"
    )


def test_an_output_that_would_harm_something_is_refused(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    recipe = linear((a, 1), (b, 1))
    full = tmp_path / "full"
    full.mkdir()
    (full / "precious").write_text("kept")
    assert refused(tmp_path, recipe, full).code == "merge-output-not-empty"
    assert refused(tmp_path, recipe, full / "precious").code == "merge-output-not-empty"
    assert refused(tmp_path, recipe, a).code == "merge-output-is-input"
    assert refused(tmp_path, recipe, a / "inside").code == "merge-output-is-input"
    assert refused(tmp_path, recipe, tmp_path).code == "merge-output-is-input"
    assert (full / "precious").read_text() == "kept"


def test_an_empty_folder_may_be_the_output(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    (tmp_path / "out").mkdir()
    api.merge(recipe_file(tmp_path, linear((a, 1), (b, 1))), tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_a_base_is_missing_where_a_method_needs_one(tmp_path: Path) -> None:
    from parentage.methods.registry import method, names

    a, b = two(tmp_path)
    needy = [n for n in names() if method(n).needs_base]
    for name in needy:
        recipe = linear((a, 1), (b, 1)) | {"merge_method": name}
        for entry in recipe["models"]:
            del entry["parameters"]
        with pytest.raises(RecipeError) as raised:
            api.merge(recipe_file(tmp_path, recipe), tmp_path / "out")
        assert raised.value.code == "recipe-base-missing"


@pytest.mark.parametrize("density", [1.5, -0.1, [0.5, 1.01]])
def test_a_density_outside_of_nought_and_one_is_refused(density: Any, tmp_path: Path) -> None:
    a, b = two(tmp_path)
    recipe = linear((a, 1), (b, 1), base_model=str(a), parameters={"density": density})
    error = refused(tmp_path, recipe | {"merge_method": "ties"})
    assert (error.code, error.exit_code) == ("recipe-parameter", 2)
    assert "density" in error.message


def test_quantised_codes_are_not_averaged(tmp_path: Path) -> None:
    """An ONNX file of int8 codes and scales says so of its tensors."""
    from dataclasses import replace

    from parentage.checkpoints.opening import open_checkpoint
    from parentage.merging.plan import make_plan
    from parentage.records.recipe import ModelName
    from parentage.records.tensors import Scaled

    a, b = two(tmp_path)
    recipe = read_recipe(recipe_file(tmp_path, linear((a, 1), (b, 1))))
    with open_checkpoint(a) as first, open_checkpoint(b) as second:
        name = "lm_head.weight"
        marked = replace(first.tensors[name], scaled=Scaled("scale", "", (1, 8)))
        first.tensors = {**first.tensors, name: marked}
        with pytest.raises(PlanError) as raised:
            make_plan(recipe, {ModelName(str(a)): first, ModelName(str(b)): second})
    assert raised.value.code == "plan-quantised"
