"""Merge methods are recognised over a network on the tensors that the budget pays for, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from tests.checkpoints.remote.servers import Site
from tests.cli.networks import plain
from tests.cli.running import Run
from tests.recognition.worlds import Made, family, made
from tests.worlds.planted import Model

HALF, THIRD = {"weight": 0.6, "density": 0.5}, {"weight": 0.3, "density": 0.3}


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    found = family(3, count=1, size=12_000, apart=(0.02, 0.01))
    found["S"] = made(Made("ties", "OAB", 0, ({}, HALF, THIRD)), found)
    return found


@pytest.fixture
def put(site: Site, tmp_path: Path, models: dict[str, Model]) -> Site:
    site.files.clear()
    for name, model in models.items():
        (tmp_path / name).mkdir()
        write_safetensors(tmp_path / name / "model.safetensors", model)
        site.files[f"/{name}/model.safetensors"] = (tmp_path / name / "model.safetensors").read_bytes()
    return site


def places(site: Site) -> list[str]:
    at = site.address
    return [f"{at}/S", "-p", f"{at}/A", "-p", f"{at}/B", "--base", f"{at}/O"]


@pytest.mark.slow
def test_ties_over_a_network_is_named_and_derived_again_from_files_that_lie_here(
    run: Run, put: Site, tmp_path: Path
) -> None:
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    assert run("audit", *places(put), "--sample", "1024", "--evidence", saved, "--json", told).code == 0
    verdict = plain(told)["verdict"]
    assert (verdict["relation"], verdict["status"]) == ("ties-merge", "supported")
    here = {name: str(tmp_path / name) for name in ("S", "A", "B", "O")}
    assert api.verify(saved, places=here).holds
