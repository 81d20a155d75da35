"""Quantised models whose making cannot be replayed: nothing is claimed of them, and the report says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quants

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.records.dtypes import DType
from parentage.records.report import Report
from tests.worlds.quantised import Floats32, Planted, family, write_plain, write_quantised

# ggml's table of IQ4_NL.
LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)


@pytest.fixture(scope="module")
def models() -> dict[str, Planted]:
    return family(3, deltas={"A": 0.03, "C": 0.03})


@pytest.fixture
def plain(models: dict[str, Planted], tmp_path: Path) -> dict[str, str]:
    return {name: write_plain(tmp_path / name, model) for name, model in models.items()}


def report(suspect: str, *parents: str) -> Report:
    return api.audit(suspect, parents=parents, digests=False, workers=1).report


def nearest_levels(weight: Floats32) -> np.ndarray:
    """IQ4_NL's blocks with the scale of the largest number and the nearest level: bytes [rows, n]."""
    blocks = weight.reshape(-1, 32)
    top = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)[:, 0]
    scale = (top / -127).astype(np.float16)
    codes = np.abs((blocks / scale.astype(np.float32)[:, None])[:, :, None] - LEVELS).argmin(2)
    packed = (codes[:, :16] | (codes[:, 16:] << 4)).astype(np.uint8)
    return np.concatenate([scale.view(np.uint8).reshape(-1, 2), packed], 1).reshape(weight.shape[0], -1)


def write_iq4(path: Path, model: Planted) -> str:
    writer = GGUFWriter(path, "llama")
    for name, weight in model.items():
        if weight.ndim < 2:
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, nearest_levels(weight), raw_dtype=Kind.IQ4_NL)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def test_a_copy_in_a_format_without_a_known_quantiser_is_read_and_left_open_with_the_reason(
    models: dict[str, Planted], plain: dict[str, str], tmp_path: Path
) -> None:
    suspect = write_iq4(tmp_path / "q.gguf", models["A"])
    found = report(suspect, plain["A"], plain["O"], plain["C"])
    assert found.verdict.status == "undetermined"
    assert "the nearest model given is A" in found.verdict.sentence
    assert "No quantiser is known here for IQ4_NL (4): these were not replayed." in found.verdict.limits
    name = next(iter(models["A"]))
    # Compared by the numbers that the library decodes.
    decoded = quants.dequantize(nearest_levels(models["A"][name]), Kind.IQ4_NL)
    assert np.abs(decoded - models["A"][name]).max() < 0.4 * models["A"][name].std()


def with_feedback(weight: Floats32, scale: Floats32) -> Floats32:
    """GPTQ (arXiv 2210.17323): each column's error is made up for in those after it; codes as float32."""
    rows, columns = weight.shape
    rng = np.random.default_rng(1)
    mixed = np.eye(columns) + 0.3 * rng.standard_normal((columns, columns)) / np.sqrt(columns)
    inputs = rng.standard_normal((512, columns)) @ mixed
    inverse = np.linalg.inv(inputs.T @ inputs / 512 + 0.01 * np.eye(columns))
    upper = np.linalg.cholesky(inverse).T
    left, codes = weight.astype(np.float64), np.zeros((rows, columns), np.float32)
    for j in range(columns):
        step = scale[:, j // 64]
        codes[:, j] = np.clip(np.rint(left[:, j] / step), -8, 7)
        error = (left[:, j] - codes[:, j] * step) / upper[j, j]
        left[:, j + 1 :] -= np.outer(error, upper[j, j + 1 :])
    return codes


def write_gptq(folder: Path, model: Planted) -> str:
    tensors: dict[str, StoredTensor] = {}
    for name, weight in model.items():
        if weight.ndim < 2:
            tensors[name] = StoredTensor(DType.F32, weight.shape, weight.view(np.uint32))
            continue
        scale = np.abs(weight.reshape(weight.shape[0], -1, 64)).max(2) / np.float32(7.5)
        unsigned = (with_feedback(weight, scale) + 8).astype(np.uint32).reshape(weight.shape[0], -1, 8)
        words = np.bitwise_or.reduce(unsigned << np.arange(0, 32, 4, dtype=np.uint32), axis=2)
        shape = np.array(weight.shape, np.int64)
        tensors |= {
            f"{name}_packed": StoredTensor(DType.I32, words.shape, words.astype(np.uint32).reshape(-1)),
            f"{name}_scale": StoredTensor(DType.F32, scale.shape, scale.reshape(-1).view(np.uint32)),
            f"{name}_shape": StoredTensor(DType.I64, (2,), shape.view(np.uint64)),
        }
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", tensors)
    return str(folder)


def test_a_copy_whose_weights_were_changed_before_rounding_is_left_open_with_the_share_of_codes(
    models: dict[str, Planted], plain: dict[str, str], tmp_path: Path
) -> None:
    suspect = write_gptq(tmp_path / "q", models["A"])
    found = report(suspect, plain["A"], plain["O"], plain["C"])
    assert found.verdict.status == "undetermined"
    assert "the nearest model given is A" in found.verdict.sentence
    against = [str(r.why_excluded) for r in found.verdict.rivals if r.relation == "quantized-copy"]
    assert any("A, the best, gives 8" in why and "a copy gives all of them" in why for why in against)


def test_a_merge_all_of_which_was_changed_before_it_was_quantised_is_left_open_with_the_reason(
    models: dict[str, Planted], plain: dict[str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    changed = {
        n: (0.6 * w + 0.4 * models["O"][n] + rng.normal(0, 0.003 * float(np.std(w)), w.shape)).astype(
            np.float32
        )
        for n, w in models["A"].items()
    }
    suspect = write_quantised(tmp_path / "q", changed, "Q8_0")
    found = report(suspect, plain["A"], plain["O"])
    assert found.verdict.status == "undetermined"
    assert found.post_training.status != "detected"
    live = [str(r.why_excluded) for r in found.verdict.rivals if r.relation == "linear-merge"]
    assert any("a blend that was trained before it was first stored" in why for why in live)
    assert any("the suspect stores codes" in limit for limit in found.verdict.limits)
