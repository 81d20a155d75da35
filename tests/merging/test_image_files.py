"""Whole image-model files by sd-mecha itself: audited and made again by the same commands, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.absence import Absent
from tests.merging.models import bits_of, recipe_file
from tests.worlds.fixtures import FOLDER, manifest_files

MIXED = {"weighted_sum": "AB", "add_difference": "ABO"}


def place(name: str) -> Path:
    return FOLDER / "image" / f"{name}.safetensors"


def recipe_of(method: str) -> dict[str, Any]:
    return {
        "merge_method": method,
        "models": [{"model": str(place(m))} for m in MIXED[method]],
        "parameters": {"alpha": manifest_files()[f"image/{method}.safetensors"].story["alpha"]},
        "dtype": "float32",
        "out_dtype": "float16",
        "parentage": {"profile": "sd-mecha"},
    }


@pytest.mark.parametrize("method", MIXED)
def test_every_bit_of_a_file_by_sd_mecha_is_made(method: str, tmp_path: Path) -> None:
    api.merge(recipe_file(tmp_path, recipe_of(method)), tmp_path / "out", api.MergeOptions())
    assert bits_of(tmp_path / "out") == bits_of(place(method))


@pytest.mark.parametrize("method", MIXED)
def test_a_recipe_replays_a_file_by_sd_mecha(method: str, tmp_path: Path) -> None:
    found = api.replay(recipe_file(tmp_path, recipe_of(method)), str(place(method)))
    assert found.holds
    assert found.informative_matches == found.informative > 10_000
    other = recipe_of(method)
    other["parameters"]["alpha"] += 0.01
    assert not api.replay(recipe_file(tmp_path, other), str(place(method))).holds


def test_a_weighted_sum_by_sd_mecha_is_told_with_its_share() -> None:
    report = api.audit(str(place("weighted_sum")), parents=[str(place(m)) for m in "AB"], workers=1).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    second = next(p.weight for p in report.verdict.parents if p.name.startswith("B"))
    assert not isinstance(second, Absent)
    assert second.low <= 0.3 <= second.high


def test_an_added_difference_by_sd_mecha_is_told() -> None:
    report = api.audit(
        str(place("add_difference")), parents=[str(place(m)) for m in "ABO"], workers=1
    ).report
    assert report.verdict.status == "supported"
    assert report.verdict.relation in ("task-arithmetic-merge", "linear-merge")
    assert not isinstance(report.replay, Absent)
    assert report.replay.match == 1.0


def test_the_files_have_the_keys_of_an_image_model() -> None:
    with open_checkpoint(place("O")) as found:
        assert any(n.startswith("model.diffusion_model.input_blocks.") for n in found.tensors)
