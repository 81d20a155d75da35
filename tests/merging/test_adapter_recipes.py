"""Recipes that combine adapters: what is read, written, said of it, and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.errors import CheckpointError, ParentageError, RecipeError
from parentage.merging.recipe_reading import recipe_from_text
from parentage.merging.recipe_writing import recipe_text
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.merging.models import bits_of, llama, recipe_file, write_model
from tests.worlds.fixtures import FOLDER

RANK, ALPHA = 2, 4
TARGETS = {"q_proj": "self_attn.q_proj", "down_proj": "mlp.down_proj"}
Change = Mapping[str, Any]


def adapter(
    folder: Path,
    seed: int,
    base: Mapping[str, Any],
    *,
    modules: tuple[str, ...] = tuple(TARGETS),
    config: Change | None = None,
    spoil: float | None = None,
) -> Path:
    """A LoRA adapter over some of a small Llama's modules, as peft writes one."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    stored = {}
    for name, value in base.items():
        module = name.removesuffix(".weight")
        if not module.endswith(tuple(TARGETS[m] for m in modules)):
            continue
        for part, shape in (("A", (RANK, value.shape[1])), ("B", (value.shape[0], RANK))):
            numbers = rng.normal(0, 0.05, shape).astype(np.float32)
            if spoil is not None:
                numbers[0, 0] = spoil
            full = f"base_model.model.{module}.lora_{part}.weight"
            stored[full] = StoredTensor(DType.F32, shape, numbers.view(np.uint32).reshape(-1))
    write_safetensors(folder / "adapter_model.safetensors", stored)
    table = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": list(modules)}
    (folder / "adapter_config.json").write_text(json.dumps({**table, **(config or {})}))
    return folder


def world(folder: Path, **second: Any) -> dict[str, Any]:
    """A base, two adapters over it, and a recipe that combines them."""
    weights = llama(1)
    base = write_model(folder / "base", weights)
    one = adapter(folder / "one", 2, weights)
    two = adapter(folder / "two", 3, weights, **second)
    return {
        "merge_method": "adapter_cat",
        "base_model": str(base),
        "adapters": [{"adapter": str(one), "weight": 0.75}, {"adapter": str(two), "weight": -0.5}],
    }


def made(folder: Path, recipe: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    record = api.merge(recipe_file(folder / "r", recipe), folder / "out", api.MergeOptions())
    return record, bits_of(folder / "out")


def refused(folder: Path, recipe: Mapping[str, Any]) -> ParentageError:
    with pytest.raises(ParentageError) as raised:
        api.merge(recipe_file(folder / "r", recipe), folder / "out", api.MergeOptions())
    assert not (folder / "out").exists()
    assert raised.value.hint
    return raised.value


def factors(folder: str) -> dict[str, Any]:
    return {
        name.removeprefix("base_model.model."): to_float32(bits, dtype).reshape(shape).astype(np.float64)
        for name, (dtype, shape, bits) in stored(Path(folder)).items()
    }


def stored(folder: Path) -> dict[str, tuple[DType, tuple[int, ...], Any]]:
    from parentage.checkpoints.opening import open_checkpoint

    with open_checkpoint(folder / "adapter_model.safetensors") as found:
        return {n: (t.dtype, t.shape, found.read(t, 0, t.elements)) for n, t in found.tensors.items()}


def test_cat_adds_the_weighted_changes_to_the_base_and_copies_the_rest(tmp_path: Path) -> None:
    recipe = world(tmp_path)
    record, found = made(tmp_path, recipe)
    before = bits_of(Path(recipe["base_model"]))
    assert record.merged == 6
    assert {t.reason.split(": ")[1] for t in record.copied} == {"no adapter changes it"}
    pairs = [(factors(a["adapter"]), a["weight"]) for a in recipe["adapters"]]
    for name, bits in found.items():
        if "proj" not in name:
            assert bits == before[name]
            continue
        module = name.removesuffix(".weight")
        change = sum(
            w * ALPHA / RANK * f[f"{module}.lora_B.weight"] @ f[f"{module}.lora_A.weight"] for f, w in pairs
        )
        own = to_float32(np.frombuffer(before[name][2], np.uint16), DType.BF16)
        merged = to_float32(np.frombuffer(bits[2], np.uint16), DType.BF16)
        assert np.all(np.abs(merged - own - change.reshape(-1)) <= 2**-8 * np.abs(merged) + 1e-9)
        assert np.abs(change).max() > 2**-6 * np.abs(own).max()


def test_the_record_names_base_and_adapters_with_their_digests(tmp_path: Path) -> None:
    recipe = world(tmp_path)
    record, _ = made(tmp_path, recipe)
    assert [p.base for p in record.parents] == [True, False, False]
    assert [p.files[0].name for p in record.parents] == [
        "model.safetensors",
        "adapter_model.safetensors",
        "adapter_model.safetensors",
    ]
    assert all(len(p.files) == 1 for p in record.parents)
    assert record.recipe["adapters"] == recipe["adapters"]
    assert record.notes == ()
    plan = api.plan_merge(recipe_file(tmp_path / "again", recipe))
    factor_bytes = 4 * 2 * 3 * RANK * (8 + 8 + 8 + 16)
    base = 2 * sum(int(np.prod(v.shape)) for v in llama(1).values())
    assert plan.bytes_read == base + factor_bytes


def test_a_recipe_of_adapters_reads_back_as_it_was_written(tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, world(tmp_path / "w") | {"parameters": {}}).read_text()
    found = recipe_from_text(recipe)
    assert found.adapters[1].weight == -0.5
    assert recipe_from_text(recipe_text(found)) == found


def test_a_replay_of_combined_adapters_gives_every_bit(tmp_path: Path) -> None:
    recipe = world(tmp_path) | {"merge_method": "adapter_dare_ties", "parameters": {"density": 0.5}}
    for profile in ("parentage-1", "peft"):
        given = recipe | {"parentage": {"profile": profile, "seed": 7}}
        path = recipe_file(tmp_path / profile / "r", given)
        api.merge(path, tmp_path / profile / "out", api.MergeOptions())
        assert api.replay(path, str(tmp_path / profile / "out")).holds
    assert bits_of(tmp_path / "peft" / "out") != bits_of(tmp_path / "parentage-1" / "out")


def test_a_module_that_one_adapter_alone_changes_is_changed_by_that_one(tmp_path: Path) -> None:
    recipe = world(tmp_path, modules=("q_proj",))
    _, found = made(tmp_path, recipe)
    alone = recipe | {"adapters": recipe["adapters"][:1]}
    _, without = made(tmp_path / "alone", alone)
    for name in found:
        assert (found[name] == without[name]) == ("q_proj" not in name), name


@pytest.mark.parametrize("kind", ["linear", "ties", "dare_linear", "dare_ties", "magnitude_prune"])
def test_memory_and_threads_do_not_move_a_bit(kind: str, tmp_path: Path) -> None:
    more = {} if kind == "linear" else {"parameters": {"density": 0.5}}
    recipe = world(tmp_path) | {"merge_method": f"adapter_{kind}"} | more
    outs = []
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        options = api.MergeOptions(workers=workers, shard_bytes=300)
        api.merge(recipe_file(folder / "r", recipe), folder / "out", options)
        outs.append(bits_of(folder / "out"))
    assert outs[0] == outs[1] != bits_of(Path(recipe["base_model"]))


BAD: dict[str, tuple[str, Change]] = {
    "no adapters": ("recipe-shape", {"adapters": None}),
    "an empty list": ("recipe-shape", {"adapters": []}),
    "models as well": ("recipe-shape", {"models": [{"model": "x"}]}),
    "models instead": ("recipe-adapters", {"adapters": None, "models": [{"model": "BASE"}]}),
    "another method": ("recipe-adapters", {"merge_method": "passthrough"}),
    "no base": ("recipe-base-missing", {"base_model": None}),
    "a weight that is no number": ("recipe-not-finite", {"weight": float("nan")}),
    "an infinite weight": ("recipe-not-finite", {"weight": float("inf")}),
    "a weight in words": ("recipe-shape", {"weight": "much"}),
    "a weight that is a switch": ("recipe-shape", {"weight": True}),
    "no density": ("recipe-parameter-missing", {"merge_method": "adapter_ties"}),
    "a density above one": (
        "recipe-parameter",
        {"merge_method": "adapter_ties", "parameters": {"density": 1.5}},
    ),
    "one adapter alone": ("recipe-adapters", {"merge_method": "adapter_ties", "only": 1}),
    "an unknown key": ("recipe-unknown-key", {"scale": 2}),
    "a profile of another tool": ("recipe-profile", {"parentage": {"profile": "mergekit-0.1.5"}}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_recipe_that_makes_no_sense_is_refused_by_its_code(case: str, tmp_path: Path) -> None:
    code, change = BAD[case]
    recipe = world(tmp_path)
    for key, value in change.items():
        if key in ("weight", "scale"):
            recipe["adapters"][1][key] = value
        elif key == "only":
            recipe["adapters"] = recipe["adapters"][:value]
        elif value is None:
            del recipe[key]
        elif key == "models" and value[0]["model"] == "BASE":
            recipe[key] = [{"model": recipe["base_model"]}]
        else:
            recipe[key] = value
    assert refused(tmp_path, recipe).code == code


def test_an_adapter_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    recipe = world(tmp_path)
    recipe["adapters"][1]["adapter"] = recipe["adapters"][0]["adapter"]
    assert "twice" in refused(tmp_path, recipe).message


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_factors_that_are_no_numbers_are_refused_and_nothing_is_left(number: float, tmp_path: Path) -> None:
    error = refused(tmp_path, world(tmp_path, spoil=number))
    assert error.code == "adapter-not-finite"
    assert "two" in error.message


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    recipe = world(tmp_path)
    recipe["adapters"][1]["adapter"] = str(FOLDER / "adapters" / "lora")
    error = refused(tmp_path, recipe)
    assert isinstance(error, CheckpointError)
    assert error.code == "adapter-other-model"


@pytest.mark.parametrize("kind", ["dora", "embedding"])
def test_what_no_combination_keeps_is_refused_and_not_dropped(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    shutil.copy(FOLDER / "mergekit" / "O.safetensors", folder / "model.safetensors")
    recipe = {
        "merge_method": "adapter_cat",
        "base_model": str(folder),
        "adapters": [
            {"adapter": str(FOLDER / "adapters" / kind), "weight": 1.0},
            {"adapter": str(FOLDER / "adapters" / "lora"), "weight": 1.0},
        ],
    }
    assert refused(tmp_path, recipe).code == "plan-adapters"


def test_ranks_of_which_only_some_can_be_added_are_refused_by_name(tmp_path: Path) -> None:
    recipe = world(tmp_path) | {"merge_method": "adapter_linear"}
    weights = llama(1)
    wide = tmp_path / "wide"
    adapter(wide, 5, weights)
    path = wide / "adapter_model.safetensors"
    doubled = {}
    for name, (dtype, shape, bits) in stored(wide).items():
        axis = 0 if "lora_A" in name else 1
        numbers = np.repeat(bits.reshape(shape), 2, axis)
        doubled[name] = StoredTensor(dtype, numbers.shape, numbers.reshape(-1))
    path.unlink()
    write_safetensors(path, doubled)
    config = json.loads((wide / "adapter_config.json").read_text()) | {"r": 2 * RANK}
    (wide / "adapter_config.json").write_text(json.dumps(config))
    recipe["adapters"][1]["adapter"] = str(wide)
    assert refused(tmp_path, recipe).code == "adapter-ranks"
    record, _ = made(tmp_path, recipe | {"merge_method": "adapter_cat"})
    assert record.merged == 6


def test_a_recipe_error_names_the_line() -> None:
    text = "merge_method: adapter_cat\nbase_model: b\nadapters:\n- adapter: a\n  weight: .nan\n"
    with pytest.raises(RecipeError) as raised:
        recipe_from_text(text)
    assert "line 5" in str(raised.value.where)
