"""Recipes of a tool, carried out whole: every bit that the tool itself wrote, from files to files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.methods.method import Profile
from parentage.methods.registry import method, names
from parentage.records.dtypes import DType
from tests.merging.models import bits_of, recipe_file
from tests.methods.readers import merged
from tests.methods.recipes import Case, cases, operands, theirs
from tests.methods.test_tools import LOOSE
from tests.worlds.fixtures import FOLDER, manifest_files

TENSORS = ("matrix", "vector", "words")
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
PINNED = {
    name: pinned.story["recipe"]
    for name, pinned in manifest_files().items()
    if name.startswith("mergekit/") and "recipe" in pinned.story
}


def models(folder: Path) -> None:
    """The operands of the methods' fixtures, a file a model."""
    for model in {name.split("/")[0] for name in operands()}:
        found = {name: np.ascontiguousarray(operands()[f"{model}/{name}"]) for name in TENSORS}
        write_safetensors(
            folder / f"{model}.safetensors",
            {
                n: StoredTensor(DType.F32, v.shape, v.astype(np.float32).view(np.uint32))
                for n, v in found.items()
            },
        )


def recipe_of(case: Case, folder: Path) -> dict[str, Any]:
    """The case as mergekit's file would say it."""
    places = [str(folder / f"{m}.safetensors") for m in case.models]
    entries = [
        {"model": p, "parameters": dict(own)} if own else {"model": p}
        for p, own in zip(places, [*case.per_model, *[{}] * len(places)], strict=False)
    ]
    base = {} if case.base is None else {"base_model": places[case.base]}
    return {
        "merge_method": case.method,
        "models": entries,
        **base,
        "dtype": DTYPES[case.dtype],
        "out_dtype": DTYPES[case.out],
        "parameters": dict(case.shared),
        "parentage": {"profile": "mergekit-0.1.5", "seed": case.seed},
    }


@cache
def chosen(name: str) -> tuple[Case, ...]:
    """Of a method's cases one in each dtype, the one with the most models."""
    own = [c for c in cases() if c.method == name]
    kinds = dict.fromkeys(c.dtype for c in own)
    return tuple(max((c for c in own if c.dtype == d), key=lambda c: len(c.models)) for d in kinds)


@pytest.mark.parametrize("name", sorted({c.method for c in cases()} & set(names()), key=names().index))
def test_a_methods_recipes_give_the_bits_that_mergekit_wrote(name: str, tmp_path: Path) -> None:
    models(tmp_path)
    for k, case in enumerate(chosen(name)):
        path = recipe_file(tmp_path / str(k), recipe_of(case, tmp_path))
        record = api.merge(path, tmp_path / f"out-{k}")
        assert record.merged == len(TENSORS)
        ours = bits_of(tmp_path / f"out-{k}")
        for tensor in TENSORS:
            dtype, bits = theirs("mergekit-0.1.5")[f"{case.id}/{tensor}"]
            if (name, case.dtype) in LOOSE:
                # Hangs on the tool's mathematics library: the rule alone, held against the tool elsewhere.
                profile = Profile("mergekit-0.1.5", DType(case.dtype), DType(case.out))
                alone = merged(method(name), case.reader(tensor), case.parameters(), profile, tensor)
                bits = alone.reshape(bits.shape)
            assert ours[tensor] == (dtype, bits.shape, bits.tobytes()), (case.id, tensor)


@pytest.mark.parametrize("name", [n for n, r in PINNED.items() if r["merge_method"] in names()])
def test_mergekits_own_recipes_are_read_unchanged_and_give_its_bits(name: str, tmp_path: Path) -> None:
    """Only the places of the models are put in; all else is as mergekit had it."""
    text = yaml.safe_dump(PINNED[name])
    for model in "ABO":
        place = FOLDER / "mergekit" / f"{model}.safetensors"
        text = text.replace(f"model: {model}\n", f"model: {place}\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    version = "mergekit-0.1.4" if "0.1.4" in name else "mergekit-0.1.5"
    api.merge(path, tmp_path / "out", api.MergeOptions(profile=version))
    assert bits_of(tmp_path / "out") == bits_of(FOLDER / name)
