"""Single-file image models: made and audited with the same commands, and their metadata heard as claims."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.merge_claims import merge_claims
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Report
from tests.merging.models import recipe_file

SHAPES: dict[str, tuple[int, ...]] = {
    "model.diffusion_model.input_blocks.1.0.in_layers.0.weight": (32,),
    "model.diffusion_model.input_blocks.1.0.in_layers.2.weight": (32, 32, 3, 3),
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": (64, 64),
    "model.diffusion_model.output_blocks.0.0.in_layers.2.weight": (32, 64, 3, 3),
    "first_stage_model.decoder.conv_in.weight": (32, 4, 3, 3),
    "cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight": (96, 64),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base C in binary16 and two fine-tunes of it, A and B, each a file."""
    folder, rng = tmp_path_factory.mktemp("image"), np.random.default_rng(1)
    base = {n: rng.normal(0, 0.05, s) for n, s in SHAPES.items()}
    models = {"C": base} | {
        name: {n: w + rng.normal(0, 0.002, w.shape) for n, w in base.items()} for name in "AB"
    }
    found = {}
    for name, weights in models.items():
        found[name] = folder / f"{name}.safetensors"
        stored = {
            n: StoredTensor(DType.F16, w.shape, round_to(w.reshape(-1), DType.F16))
            for n, w in weights.items()
        }
        write_safetensors(found[name], stored)
    return found


def made(
    places: dict[str, Path], folder: Path, method: str, order: str, alpha: float, profile: str
) -> Path:
    recipe: dict[str, Any] = {
        "merge_method": method,
        "models": [{"model": str(places[m])} for m in order],
        "parameters": {"alpha": alpha},
        "dtype": "float32",
        "out_dtype": "float16",
        "parentage": {"profile": profile},
    }
    api.merge(recipe_file(folder, recipe), folder / "out", api.MergeOptions())
    return folder / "out"


def claimed(folder: Path, metadata: dict[str, str]) -> Path:
    """The merge as a mixer of image models would have saved it: one file, with its own metadata."""
    with open_checkpoint(folder) as found:
        stored = {
            n: StoredTensor(t.dtype, t.shape, found.read(t, 0, t.elements))
            for n, t in found.tensors.items()
        }
    path = folder.parent / "mixed.safetensors"
    write_safetensors(path, stored, metadata)
    return path


def webui(
    places: dict[str, Path], order: str, multiplier: float, kind: str = "Weighted sum"
) -> dict[str, str]:
    digests = {m: hashlib.sha256(places[m].read_bytes()).hexdigest() for m in order}
    roles = ("primary", "secondary", "tertiary")
    recipe = {"type": "webui", "interp_method": kind, "multiplier": multiplier} | {
        f"{role}_model_hash": digests[m] for role, m in zip(roles, order, strict=False)
    }
    models = {digests[m]: {"name": f"{m}.safetensors", "legacy_hash": "0"} for m in order}
    return {"sd_merge_recipe": json.dumps(recipe), "sd_merge_models": json.dumps(models)}


def audited(suspect: Path, places: dict[str, Path], parents: str) -> Report:
    return api.audit(str(suspect), parents=[str(places[m]) for m in parents], workers=1).report


def test_a_weighted_sum_and_what_its_metadata_say_agree(places: dict[str, Path], tmp_path: Path) -> None:
    merged = made(places, tmp_path, "weighted_sum", "AB", 0.3, "sd-mecha")
    report = audited(claimed(merged, webui(places, "AB", 0.3)), places, "AB")
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    weights = {p.name: p.weight for p in report.verdict.parents}
    second = weights["B.safetensors"]
    assert not isinstance(second, Absent)
    assert second.low <= 0.3 <= second.high
    notes = " ".join(report.notes)
    assert "claims a merge by “webui”: “Weighted sum”" in notes
    assert "The weights say the same as the metadata" in notes


def test_a_claim_of_another_share_is_told_to_differ(places: dict[str, Path], tmp_path: Path) -> None:
    merged = made(places, tmp_path, "weighted_sum", "AB", 0.3, "sd-mecha")
    notes = audited(claimed(merged, webui(places, "AB", 0.5)), places, "AB").notes
    assert any("say otherwise than the metadata" in n and "0.5 is claimed" in n for n in notes)


def test_a_claimed_parent_that_was_not_given_is_said(places: dict[str, Path], tmp_path: Path) -> None:
    merged = made(places, tmp_path, "weighted_sum", "AB", 0.3, "sd-mecha")
    notes = audited(claimed(merged, webui(places, "AB", 0.3)), places, "A").notes
    assert any("Not among the models given" in n and "B.safetensors" in n for n in notes)


@pytest.mark.parametrize("profile", ["sd-mecha", pytest.param("bf16-scalar", marks=pytest.mark.slow)])
def test_an_added_difference_is_named_with_its_three_models(
    profile: str, places: dict[str, Path], tmp_path: Path
) -> None:
    merged = made(places, tmp_path, "add_difference", "ABC", 0.65, profile)
    report = audited(merged, places, "ABC")
    assert report.verdict.status == "supported"
    assert report.verdict.relation in ("task-arithmetic-merge", "linear-merge")
    assert not isinstance(report.replay, Absent)
    assert report.replay.match == 1.0


def of(metadata: dict[str, str], folder: Path) -> Any:
    path = folder / "m.safetensors"
    write_safetensors(path, {"w": StoredTensor(DType.F16, (1,), np.zeros(1, np.uint16))}, metadata)
    with open_checkpoint(path) as found:
        return merge_claims(found)


@pytest.mark.parametrize(
    "text", ["", "no json", "[1]", "[" * 5000, "{}", '"x"', "null", json.dumps({"a": 1})[:-1]]
)
def test_metadata_that_say_nothing_claim_nothing(text: str, tmp_path: Path) -> None:
    assert of({"sd_merge_recipe": text, "sd_merge_models": text}, tmp_path) == ()


def test_hostile_metadata_are_cut_and_made_printable(tmp_path: Path) -> None:
    recipe = {"type": "web\x1b[31mui\n" * 500, "multiplier": 1e999, "primary_model_hash": "A" * 64}
    models = {"f" * 64: {"name": "<script>\u202e" + "x" * 10_000}, "zz": {"name": "no digest"}}
    (claim,) = of({"sd_merge_recipe": json.dumps(recipe), "sd_merge_models": json.dumps(models)}, tmp_path)
    assert len(claim.tool) <= 120
    assert claim.tool.isprintable()
    assert isinstance(claim.multiplier, Absent)
    primary, listed = claim.models
    assert (primary.role, primary.sha256, isinstance(primary.name, Absent)) == ("primary", "a" * 64, True)
    assert listed.role == "listed"
    assert isinstance(listed.name, str)
    assert listed.name.isprintable()
    assert len(listed.name) <= 120
