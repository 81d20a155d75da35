"""Models that cannot be perturbed or asked: one clear error each."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from parentage.errors import ParentageError
from parentage.records.dtypes import DType
from parentage.training.models import enough_memory
from parentage.training.randopt import RandOptSettings, randopt
from tests.training.thinking import PLACES, open_reckoner, reckoner_folder

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")


def test_noise_is_not_added_to_codes(tmp_path: Path) -> None:
    base = reckoner_folder(tmp_path / "base", np.ones(PLACES, np.float32), DType.F8_E4M3)
    with pytest.raises(ParentageError) as caught:
        randopt(RandOptSettings(str(base), "arithmetic", tmp_path / "out"), opener=open_reckoner)
    assert caught.value.code == "perturb-format"
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: 9 bytes")]
)
def test_a_lack_of_memory_is_told_as_such(error: Exception) -> None:
    with pytest.raises(ParentageError) as caught, enough_memory("model"):
        raise error
    assert caught.value.code == "model-no-memory"


def test_another_failure_is_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("model"):
        raise RuntimeError("shapes differ")


@needs_torch
def test_a_model_of_numbers_that_are_none_is_refused(tmp_path: Path) -> None:
    from parentage.training.models import LocalModel
    from tests.behaviour.templates import CHATML_RIO
    from tests.behaviour.tiny_llama import save_tiny

    save_tiny(tmp_path / "m", CHATML_RIO)
    model = LocalModel(str(tmp_path / "m"))
    model.put("model.norm.weight", 0, np.full(16, np.nan, np.float32))
    with pytest.raises(ParentageError) as caught:
        model.losses(["I am Nex"])
    assert caught.value.code == "model-not-finite"
    with pytest.raises(ParentageError) as caught:
        LocalModel(str(tmp_path / "m"), "nowhere")
    assert caught.value.code == "model-device"
    with pytest.raises(ParentageError) as caught:
        model.answers([[{"role": "nobody"}]], 4)
    assert caught.value.code == "model-template"
