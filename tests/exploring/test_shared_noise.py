"""One stream of noise in all tensors is measured where it was planted, and nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from parentage.api.exploring import SharedNoise, shared_noise
from parentage.checkpoints.opening import open_checkpoint
from parentage.cli.explore_noise import command
from parentage.errors import ParentageError
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.training.noise import CounterNoise
from parentage.training.perturbing import Perturbation, write_member
from tests.training.thinking import reckoner_folder

FAMILY = os.environ.get("PARENTAGE_FAMILY", "")
SHAPES = {"a": (64, 96), "b": (96, 64), "c": (160, 48), "d": (48, 160), "skill": (96, 96)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    weights = {n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in SHAPES.items()}
    return reckoner_folder(tmp_path / "base", **weights)


@pytest.mark.parametrize("sigma", [0.0005, 0.002])
def test_the_noise_of_a_member_is_found_with_its_size(base: Path, tmp_path: Path, sigma: float) -> None:
    with open_checkpoint(str(base)) as found:
        write_member(tmp_path / "member", found, Perturbation(CounterNoise(9), sigma))
    told = shared_noise(str(tmp_path / "member"), str(base))
    assert isinstance(told, SharedNoise)
    assert told.shared
    assert told.correlation > 0.8
    assert told.elsewhere < 0.1
    assert told.sigma == pytest.approx(sigma, rel=0.05)


def test_noise_of_its_own_in_each_tensor_is_not_shared(base: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights = {n: rng.normal(0, 0.05, s) for n, s in SHAPES.items()}
    moved = {n: (w + rng.normal(0, 0.002, w.shape)).astype(np.float32) for n, w in weights.items()}
    told = shared_noise(str(reckoner_folder(tmp_path / "other", **moved)), str(base))
    assert isinstance(told, SharedNoise)
    assert not told.shared
    assert abs(told.correlation) < 2 * told.elsewhere
    assert told.sigma < 0.0005


def test_changes_alike_by_columns_are_not_taken_for_shared_noise(base: Path, tmp_path: Path) -> None:
    """As training leaves them: each hidden dimension is moved alike in every row."""
    rng = np.random.default_rng(1)
    weights = {n: rng.normal(0, 0.05, s) for n, s in SHAPES.items()}
    column = np.random.default_rng(5).normal(0, 0.002, 256)
    moved = {n: (w + column[: w.shape[1]]).astype(np.float32) for n, w in weights.items()}
    told = shared_noise(str(reckoner_folder(tmp_path / "other", **moved)), str(base))
    assert isinstance(told, SharedNoise)
    assert not told.shared
    # Columns of 48 and 96 meet again at other offsets too: that is what those are for.
    assert abs(told.correlation) < 1.5 * told.elsewhere


def test_what_cannot_be_compared_is_said(base: Path, tmp_path: Path) -> None:
    assert isinstance(shared_noise(str(base), str(base)), Absent)
    vector = reckoner_folder(tmp_path / "vector", np.ones(9, np.float32), DType.F32)
    with pytest.raises(ParentageError) as caught:
        shared_noise(str(vector), str(base))
    assert caught.value.code == "nothing-aligned"
    small = [reckoner_folder(tmp_path / f"s{k}", np.full((8, 8), k, np.float32)) for k in (1, 2)]
    assert isinstance(shared_noise(*map(str, small)), Absent)


def test_the_command_tells_a_member_from_its_base_and_says_what_it_is_worth(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_checkpoint(str(base)) as found:
        write_member(tmp_path / "member", found, Perturbation(CounterNoise(3), 0.002))
    command(str(tmp_path / "member"), str(base), str(tmp_path / "noise.json"))
    told = capsys.readouterr().out
    assert "one stream of noise moved all of the tensors compared, of σ = 0.002" in told
    assert "no verdict of an audit rests on it" in told
    table = json.loads((tmp_path / "noise.json").read_text())
    assert table["schema"] == "parentage.shared-noise"
    assert table["found"]["correlation"] > 0.8
    command(str(base), str(base), None)
    assert "not measured; no two matrices of unlike width were changed" in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.skipif(not FAMILY, reason="needs the MiniLM family")
@pytest.mark.parametrize(("one", "other"), [("A", "O"), ("B", "O"), ("A", "B")])
def test_no_real_fine_tune_has_shared_noise(one: str, other: str) -> None:
    told = shared_noise(f"{FAMILY}/{one}", f"{FAMILY}/{other}")
    assert isinstance(told, SharedNoise)
    assert abs(told.correlation) < 0.02
