"""A base with an adapter is read as the model that peft makes of them, and nothing else passes for that."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.checkpoints.adapters.settings import AdapterSettings
from parentage.checkpoints.checkpoint import Checkpoint, Slices, spans_of
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.locators import PlaceKind, place_kind, split_adapter
from parentage.checkpoints.opening import open_adapted, open_checkpoint
from parentage.checkpoints.pinned import pin_checkpoint
from parentage.errors import CheckpointError
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef
from tests.worlds.fixtures import FOLDER

BASE = FOLDER / "mergekit" / "O.safetensors"
KINDS = ("lora", "rslora", "dora", "embedding")


def place(kind: str) -> str:
    return f"{BASE}+{FOLDER / 'adapters' / kind}"


def merged(kind: str) -> dict[str, tuple[DType, np.ndarray]]:
    """What peft made of the base, by name: the tensors that changed."""
    with open_checkpoint(FOLDER / "adapters" / "merged.safetensors") as found:
        return {
            name.removeprefix(f"{kind}/"): (ref.dtype, found.read(ref, 0, ref.elements))
            for name, ref in found.tensors.items()
            if name.startswith(f"{kind}/")
        }


def whole(checkpoint: Checkpoint, name: str) -> np.ndarray:
    return checkpoint.read(name, 0, checkpoint.tensors[name].elements)


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_that_peft_wrote_is_read(kind: str) -> None:
    theirs = merged(kind)
    with open_checkpoint(place(kind)) as made, open_checkpoint(BASE) as base:
        assert isinstance(made, AdaptedCheckpoint)
        assert set(theirs) <= set(made.adapted)
        for name, ref in made.tensors.items():
            dtype, bits = theirs.get(name, (base.tensors[name].dtype, whole(base, name)))
            assert ref.dtype is dtype
            assert np.array_equal(whole(made, name), bits), name


@pytest.mark.parametrize("kind", KINDS)
def test_slices_are_cut_from_the_whole_and_announced_in_full(kind: str) -> None:
    rng = np.random.default_rng(1)
    with open_checkpoint(place(kind)) as made:
        for name in made.adapted:
            ref, bits = made.tensors[name], whole(made, name)
            for start in rng.integers(0, ref.elements - 50, 8).tolist():
                for count in (1, 50, min(400, ref.elements - start)):
                    assert np.array_equal(made.read(ref, start, count), bits[start : start + count])
            assert made.descriptor(ref, 0, 10) is None
            assert any(s.startswith("adapter/") for s in spans_of([Slices(ref, np.array([0]), 10)]))


def turned(made: Checkpoint, name: str) -> TensorRef:
    ref = made.tensors[name]
    return replace(ref, shape=ref.shape[::-1], transposed=True)


@pytest.mark.parametrize("kind", ["lora", "embedding"])
def test_a_matrix_presented_the_other_way_round_has_the_same_numbers(kind: str) -> None:
    with open_checkpoint(place(kind)) as made:
        for name in (n for n in made.adapted if len(made.tensors[n].shape) == 2):
            ref = turned(made, name)
            straight = whole(made, name).reshape(made.tensors[name].shape)
            assert np.array_equal(made.read(ref, 0, ref.elements).reshape(ref.shape), straight.T)
            assert np.array_equal(made.read(ref, 7, 130), straight.T.reshape(-1)[7:137])


def test_it_opens_elsewhere_with_the_same_bits() -> None:
    with open_checkpoint(place("lora")) as made:
        sent = pickle.loads(pickle.dumps(pin_checkpoint(made)))
        with sent.open() as again:
            for name in made.adapted:
                assert np.array_equal(whole(again, name), whole(made, name))
        assert sent.holds("adapter/adapter_model.safetensors")


def test_a_path_with_a_plus_that_is_there_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "a+b"
    path.mkdir()
    assert split_adapter(str(path)) is None
    assert split_adapter(str(tmp_path / "a+c")) == (str(tmp_path / "a"), "c")
    assert split_adapter("hf://a/b+hf://c/d@main") == ("hf://a/b", "hf://c/d@main")
    assert split_adapter("https://x/y+z/model.safetensors") is None
    assert place_kind(f"{path}+org/name") is PlaceKind.HUB


Change = Callable[[dict[str, Any], dict[str, StoredTensor]], object]


def changed(tmp_path: Path, change: Change) -> Path:
    """The LoRA fixture with its config or its tensors changed."""
    folder = tmp_path / "adapter"
    shutil.copytree(FOLDER / "adapters" / "lora", folder)
    path = folder / "adapter_model.safetensors"
    with open_checkpoint(path) as found:
        stored = {
            name: StoredTensor(ref.dtype, ref.shape, found.read(ref, 0, ref.elements))
            for name, ref in found.tensors.items()
        }
    config = json.loads((folder / "adapter_config.json").read_text())
    change(config, stored)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    write_safetensors(path, stored)
    return folder


QUERY = "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight"


def of_shape(*shape: int) -> StoredTensor:
    return StoredTensor(DType.F32, shape, np.zeros(int(np.prod(shape)), np.uint32))


CASES: dict[str, tuple[str, Change]] = {
    "another kind": ("adapter-kind", lambda c, t: c.update(peft_type="IA3")),
    "experts as parameters": ("adapter-kind", lambda c, t: c.update(target_parameters=["w"])),
    "a start taken out of the base": (
        "adapter-kind",
        lambda c, t: c.update(init_lora_weights="pissa_niter_4"),
    ),
    "a pattern to be run": ("adapter-kind", lambda c, t: c.update(alpha_pattern={"(a+)+$": 4})),
    "a convolution": ("adapter-kind", lambda c, t: t.update({QUERY: of_shape(4, 120, 1, 1)})),
    "no scale": ("adapter-config", lambda c, t: c.pop("lora_alpha")),
    "a scale that is no number": ("adapter-config", lambda c, t: c.update(lora_alpha="8")),
    "a rank of zero": ("adapter-config", lambda c, t: c.update(r=0)),
    "another rank": ("adapter-factors", lambda c, t: c.update(r=5)),
    "one factor only": ("adapter-factors", lambda c, t: t.pop(QUERY)),
    "factors of two ranks": ("adapter-factors", lambda c, t: t.update({QUERY: of_shape(3, 120)})),
    "an unknown part": ("adapter-factors", lambda c, t: t.update({QUERY + ".lora_E": of_shape(3)})),
    "integers": (
        "adapter-factors",
        lambda c, t: t.update({QUERY: StoredTensor(DType.I32, (4, 120), np.zeros(480, np.uint32))}),
    ),
    "another width": ("adapter-other-model", lambda c, t: t.update({QUERY: of_shape(4, 64)})),
    "another module": (
        "adapter-other-model",
        lambda c, t: t.update({n.replace("query", "q_proj"): t.pop(n) for n in list(t) if "query" in n}),
    ),
    "a name that fits twice": (
        "adapter-other-model",
        lambda c, t: t.update({"base_model.model.LayerNorm.weight": of_shape(120)}),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_merged_is_refused_by_its_code(case: str, tmp_path: Path) -> None:
    code, change = CASES[case]
    with pytest.raises(CheckpointError) as raised:
        open_adapted(str(BASE), str(changed(tmp_path, change)))
    assert raised.value.code == code
    assert raised.value.hint


def test_an_adapter_without_its_config_is_refused(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda c, t: None)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(CheckpointError) as raised:
        open_adapted(str(BASE), str(folder))
    assert raised.value.code == "adapter-config"


def test_patterns_mean_modules_as_peft_reads_them() -> None:
    settings = AdapterSettings(rank=8, alpha=16, alphas={"^a.q": 1, "q": 2}, root=True)
    assert settings.scaling_of("a.q", 4) == 1 / 2
    assert settings.scaling_of("b.a.q", 4) == 2 / 2
    assert settings.scaling_of("a.xq", 4) == 16 / 2
