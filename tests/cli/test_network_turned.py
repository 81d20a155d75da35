"""Matrices that a model on a server keeps turned are read in tiles: little of each, whatever its size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints.remote.servers import Site
from tests.cli.networks import TENSORS, plain, received
from tests.cli.running import Run
from tests.worlds.on_a_server import SHAPE, Bits, merge_world, packed

WHOLE = TENSORS * SHAPE[0] * SHAPE[1] * 2


def turned(model: dict[str, Bits]) -> dict[str, Bits]:
    return {n: np.ascontiguousarray(v.T) for n, v in model.items()}


@pytest.fixture
def put(site: Site) -> Site:
    """The parents keep every matrix as [in, out], and so does a control."""
    models = merge_world()
    for name in ("a", "b", "other"):
        site.files[f"/{name}/model.safetensors"] = packed(turned(models[name]))
    return site


def test_a_merge_of_turned_parents_is_found_from_tiles_and_verified(
    run: Run, put: Site, tmp_path: Path
) -> None:
    saved, told, planned = tmp_path / "e.json", tmp_path / "r.json", tmp_path / "p.json"
    places = [f"{put.address}/suspect", "-p", f"{put.address}/a", "-p", f"{put.address}/b"]
    places += ["-c", f"{put.address}/other", "--sample", "4096"]
    assert run("audit", *places, "--dry-run", "--json", planned).code == 0
    before = received(put)
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    report = plain(told)
    assert (report["verdict"]["relation"], report["verdict"]["status"]) == ("linear-merge", "supported")
    weight = report["verdict"]["parents"][0]["weight"]
    assert weight["low"] <= 0.6 <= weight["high"]
    assert report["coverage"]["tensors_examined"] == TENSORS
    assert {t["elements_examined"] for t in report["tensors"]} == {64 * 64}
    # 64 rows of one model and 64 of the others, of eight matrices: an eighth and a sixth of them.
    tiles = (received(put) - before) - 4 * 32 * 2**10
    assert tiles < 0.2 * 4 * WHOLE
    assert tiles <= sum(m["reading"]["nbytes"] for m in plain(planned)["models"])
    pinned = [m["name"] for m in plain(saved)["models"] if m["role"] != "shuffled"]
    local: list[str | Path] = []
    for name, shown in zip(("suspect", "a", "b", "other"), pinned, strict=True):
        path = tmp_path / "here" / name / "model.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(put.files[f"/{name}/model.safetensors"])
        local += ["--model", f"{shown}={path.parent}"]
    assert run("verify", saved, *local).code == 0


def test_turned_matrices_of_two_places_are_compared_by_little(run: Run, put: Site) -> None:
    put.files["/same/model.safetensors"] = packed(turned(merge_world()["suspect"]))
    before = received(put)
    places = [f"{put.address}/suspect", f"{put.address}/same"]
    found = run("diff", *places, "--sample", "4096", "--json")
    assert found.code == 0
    assert {t["equal_values"] for t in json.loads(found.out)["tensors"]} == {64 * 64}
    assert received(put) - before < 0.25 * 2 * WHOLE
