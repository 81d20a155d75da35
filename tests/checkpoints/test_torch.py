"""Files that torch.save wrote, read without torch: every number, every kind of view, nothing dropped."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import parentage.checkpoints.formats.torch_globals as globals_module
import parentage.checkpoints.formats.torch_pickle as pickle_module
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.digests import digest_shard
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.twins import same_weights
from parentage.errors import ParentageError
from parentage.records.dtypes import DType
from tests.worlds.fixtures import FOLDER as FIXTURES
from tests.worlds.fixtures import manifest_files

FOLDER = FIXTURES / "torch"


def bits(checkpoint: Checkpoint, name: str) -> np.ndarray:
    ref = checkpoint.tensors[name]
    return checkpoint.read(ref, 0, ref.elements).reshape(ref.shape)


def test_the_fixtures_are_those_that_the_manifest_pins() -> None:
    listed = {f.path for name, f in manifest_files().items() if name.startswith("torch/")}
    assert listed == {p for p in FOLDER.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["dtypes", "module", "parameters", "views", "tied"])
def test_every_tensor_has_the_bits_that_torch_has(name: str) -> None:
    with (
        open_checkpoint(FOLDER / "truth.safetensors") as truth,
        open_checkpoint(FOLDER / f"{name}.pt") as read,
    ):
        wanted = [n.removeprefix(f"{name}/") for n in truth.tensors if n.startswith(f"{name}/")]
        assert sorted(read.tensors) == wanted
        assert not read.unread
        for tensor in wanted:
            true = truth.tensors[f"{name}/{tensor}"]
            assert (read.tensors[tensor].dtype, read.tensors[tensor].shape) == (true.dtype, true.shape)
            assert np.array_equal(bits(read, tensor), bits(truth, f"{name}/{tensor}")), tensor


@pytest.mark.parametrize("name", ["protocol-4.pt", "trainer.ckpt", "sharded"])
def test_a_state_dict_is_the_same_however_it_was_wrapped(name: str) -> None:
    with open_checkpoint(FOLDER / "module.pt") as plain, open_checkpoint(FOLDER / name) as wrapped:
        assert {n: bits(plain, n).tobytes() for n in plain.tensors} == {
            n: bits(wrapped, n).tobytes() for n in wrapped.tensors
        }


def test_what_a_trainer_saved_beside_the_model_is_told() -> None:
    with open_checkpoint(FOLDER / "trainer.ckpt") as checkpoint:
        assert checkpoint.oddities == ("state_dict: the model's state dict; not read beside it: optimizer",)


def test_shards_are_those_of_the_index() -> None:
    with open_checkpoint(FOLDER / "sharded") as checkpoint:
        assert [s.name for s in checkpoint.shards] == [
            "pytorch_model-00001-of-00002.bin",
            "pytorch_model-00002-of-00002.bin",
        ]
        assert checkpoint.oddities == ()


def test_tied_weights_share_their_bytes_and_both_have_their_checksum() -> None:
    with open_checkpoint(FOLDER / "tied.pt") as checkpoint:
        one, other = checkpoint.tensors.values()
        assert (one.begin, one.end) == (other.begin, other.end)
        sums = digest_shard(checkpoint, checkpoint.shards[0]).checksums
        assert sums["embed.weight"] == sums["lm_head.weight"]


def test_a_view_in_too_many_runs_is_listed_with_its_reason() -> None:
    with open_checkpoint(FOLDER / "scattered.pt") as checkpoint:
        assert not checkpoint.tensors
        assert checkpoint.unread == {"x": "its numbers lie 100x2 apart, in 5,000 runs"}
        assert checkpoint.oddities == ("x: not read: its numbers lie 100x2 apart, in 5,000 runs",)


def test_a_view_that_torch_negates_is_not_read_as_it_lies() -> None:
    with open_checkpoint(FOLDER / "negated.pt") as checkpoint:
        assert bits(checkpoint, "plain").view(np.float32).tolist() == [1, 1, 1]
        assert checkpoint.unread == {"negated": "torch changes its numbers after reading them: neg"}


def test_the_versions_that_a_module_notes_in_its_state_dict_are_no_tensors() -> None:
    with open_checkpoint(FOLDER / "metadata.pt") as checkpoint:
        names = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
        assert set(checkpoint.tensors) == names
        assert checkpoint.tensors["num_batches_tracked"].shape == ()
        assert bits(checkpoint, "running_var").view(np.float32).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "code"), [("legacy.pt", "torch-legacy"), ("namespace.pt", "torch-pickle-global")]
)
def test_what_is_no_plain_state_dict_is_refused(name: str, code: str) -> None:
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(FOLDER / name)
    assert caught.value.code == code
    assert ("argparse.Namespace" in caught.value.message) == (code == "torch-pickle-global")


def test_the_same_weights_in_two_formats_are_the_same_weights(tmp_path: Path) -> None:
    with open_checkpoint(FOLDER / "module.pt") as checkpoint:
        arrays = {n: bits(checkpoint, n).view(np.float32) for n in checkpoint.tensors}
        save_file(arrays, tmp_path / "model.safetensors")
        with open_checkpoint(tmp_path) as converted:
            assert same_weights(checkpoint, converted)


@pytest.mark.parametrize("module", [globals_module, pickle_module], ids=["globals", "pickle"])
def test_the_reader_can_neither_import_nor_call_what_a_pickle_names(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not names & {"eval", "exec", "getattr", "__import__", "setattr", "globals"}
    assert imported <= {"struct"}


def test_a_folder_prefers_safetensors_and_passes_over_what_trainers_leave(tmp_path: Path) -> None:
    raw = (FOLDER / "module.pt").read_bytes()
    for name in ("pytorch_model.bin", "optimizer.pt", "training_args.bin", "rng_state_0.pth"):
        (tmp_path / name).write_bytes(raw)
    with open_checkpoint(tmp_path) as checkpoint:
        assert [s.name for s in checkpoint.shards] == ["pytorch_model.bin"]
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "model.safetensors")
    with open_checkpoint(tmp_path) as checkpoint:
        assert [s.name for s in checkpoint.shards] == ["model.safetensors"]


def test_a_file_of_data_beside_an_onnx_model_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes((FIXTURES / "onnx" / "tied.onnx").read_bytes())
    (tmp_path / "vocabulary.bin").write_bytes(b"words")
    with open_checkpoint(tmp_path) as checkpoint:
        assert [s.name for s in checkpoint.shards] == ["model.onnx"]


def test_half_and_eight_bit_floats_keep_their_dtype() -> None:
    with open_checkpoint(FOLDER / "dtypes.pt") as checkpoint:
        assert {checkpoint.tensors[n].dtype for n in ("bfloat16", "float8_e4m3fn", "float8_e5m2")} == {
            DType.BF16,
            DType.F8_E4M3,
            DType.F8_E5M2,
        }
