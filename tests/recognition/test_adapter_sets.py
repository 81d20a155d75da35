"""Known adapters over one base, combined: weights are found by replay, and of nothing else is it said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.evidence.recognition.adapters import ADAPTERS
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from tests.merging.models import recipe_file
from tests.worlds.fixtures import FOLDER

MODULES = ("attention.self.query", "attention.self.value", "intermediate.dense")
RANK = 4


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    shutil.copy(FOLDER / "mergekit" / "O.safetensors", folder / "model.safetensors")
    return folder


def tensors(folder: Path) -> dict[str, StoredTensor]:
    with open_checkpoint(folder) as found:
        return {
            n: StoredTensor(t.dtype, t.shape, found.read(t, 0, t.elements))
            for n, t in found.tensors.items()
        }


def adapter(folder: Path, base: Path, seed: int, *, modules: Sequence[str] = MODULES) -> Path:
    """Random factors of size .02, alpha twice the rank."""
    rng, stored = np.random.default_rng(seed), dict[str, StoredTensor]()
    folder.mkdir()
    for name, tensor in tensors(base).items():
        module = name.removesuffix(".weight")
        if name.endswith(".weight") and module.endswith(tuple(modules)):
            for part, shape in (("A", (RANK, tensor.shape[1])), ("B", (tensor.shape[0], RANK))):
                numbers = rng.normal(0, 0.02, shape).astype(np.float32)
                full = f"base_model.model.{module}.lora_{part}.weight"
                stored[full] = StoredTensor(DType.F32, shape, numbers.view(np.uint32).reshape(-1))
    write_safetensors(folder / "adapter_model.safetensors", stored)
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": list(modules)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def pair(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    # The second leaves one kind of module alone.
    return adapter(folder / "one", base, 1), adapter(folder / "two", base, 2, modules=MODULES[1:])


def made(
    folder: Path, base: Path, weights: Mapping[Path, float], method: str = "adapter_cat", **more: Any
) -> Path:
    recipe = {
        "merge_method": method,
        "base_model": str(base),
        "adapters": [{"adapter": str(a), "weight": w} for a, w in weights.items()],
        **more,
    }
    api.merge(recipe_file(folder / "r", recipe), folder / "out", api.MergeOptions())
    return folder / "out"


def found_in(suspect: Path, base: Path, adapters: Sequence[Path]) -> Mapping[str, Any] | None:
    """What the recogniser measures, given what an audit knows of every tensor."""
    with ExitStack() as stack:
        places = [str(suspect), *(f"{base}+{a}" for a in adapters)]
        opened = [stack.enter_context(open_checkpoint(p)) for p in places]
        names = list(opened[0].tensors)
        bits = [{n: c.read(n, 0, c.tensors[n].elements) for n in names} for c in opened]
        told = [
            SimpleNamespace(
                name=n,
                present=range(len(opened)),
                finite=bits[0][n].size,
                equal=[int(np.count_nonzero(b[n] == bits[0][n])) for b in bits[1:]],
            )
            for n in names
        ]
        groups = {
            n: SimpleNamespace(suspect=opened[0].tensors[n], others=[c.tensors[n] for c in opened[1:]])
            for n in names
        }
        context: Any = SimpleNamespace(
            sources=tuple(range(1, len(opened))),
            checkpoints=opened,
            tensors=told,
            groups=groups,
            full=False,
        )
        findings = ADAPTERS.find(context)
    return findings[0].measures if findings else None


@pytest.mark.parametrize("profile", ["peft", "parentage-1"])
@pytest.mark.parametrize("method", ["adapter_cat", "adapter_linear"])
def test_two_adapters_are_found_with_their_weights(
    method: str, profile: str, base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"parentage": {"profile": profile}}
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45}, method, **given)
    found = found_in(suspect, base, pair)
    assert found is not None
    assert (found["weights"], found["method"]) == ([0.7, -0.45], method)
    assert (found["ranks"], found["scalings"]) == ([RANK, RANK], [2.0, 2.0])
    assert found["matches"] == found["informative"] > 10_000
    assert found["elsewhere"] == 0


def test_one_adapter_at_part_of_its_strength_is_found_beside_one_that_has_no_part_in_it(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    suspect = made(tmp_path, base, {pair[0]: 0.35}, "adapter_linear", parentage={"profile": "peft"})
    for given in (pair[:1], pair):
        found = found_in(suspect, base, given)
        assert found is not None
        assert found["weights"] == [0.35]


@pytest.mark.slow
def test_an_audit_names_the_adapters_their_ranks_and_weights(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45}, parentage={"profile": "peft"})
    done = api.audit(str(suspect), parents=[str(a) for a in pair], base=str(base), workers=1)
    verdict = done.report.verdict
    assert (verdict.relation, verdict.status) == ("adapter-fine-tune", "supported")
    assert "(rank 4, scaling 2) at weight 0.7" in verdict.sentence
    assert "at weight -0.45" in verdict.sentence


def with_change(suspect: Path, out: Path, name_part: str, size: float, share: float) -> Path:
    """Some numbers of the tensors of that name moved by ``size`` of the tensor's spread."""
    rng, stored = np.random.default_rng(5), tensors(suspect)
    for name, tensor in stored.items():
        if name_part in name and len(tensor.shape) == 2:
            values = to_float32(tensor.bits, tensor.dtype).astype(np.float64)
            moved = values + size * values.std() * rng.standard_normal(values.size)
            chosen = np.where(rng.random(values.size) < share, moved, values)
            stored[name] = StoredTensor(tensor.dtype, tensor.shape, round_to(chosen, tensor.dtype))
    out.mkdir()
    write_safetensors(out / "model.safetensors", stored)
    return out


@pytest.mark.parametrize(("part", "share"), [("query", 0.001), ("query", 1.0), ("word_embeddings", 0.01)])
def test_a_combination_that_was_trained_on_is_not_said_to_be_one(
    part: str, share: float, base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45})
    found = found_in(with_change(suspect, tmp_path / "later", part, 0.05, share), base, pair)
    # What was changed elsewhere alone is counted, and then no verdict rests on it.
    assert (found is None) == (part == "query")
    assert found is None or found["elsewhere"] == 1


def test_a_fine_tune_whose_change_is_nearly_of_low_rank_is_none(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """A full fine-tune along an adapter's own direction, with a tail of full rank beside it."""
    alone = made(tmp_path, base, {pair[0]: 1.0}, "adapter_linear")
    suspect = tmp_path / "tuned"
    for k, part in enumerate(("query", "value", "intermediate")):
        alone = with_change(alone, suspect.with_name(f"tuned-{k}"), part, 0.01, 1.0)
    assert found_in(alone, base, pair) is None


def test_adapters_that_have_no_part_in_it_are_not_named(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    others = [adapter(tmp_path / name, base, seed) for name, seed in (("x", 11), ("y", 12))]
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45})
    assert found_in(suspect, base, others) is None
