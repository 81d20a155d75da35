"""Units in another order are found and put back over a network, at a price that is told and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.records.dtypes import DType
from tests.checkpoints.remote.servers import Site
from tests.cli.networks import plain
from tests.cli.running import Run
from tests.worlds import reordered as world
from tests.worlds.planted import Weights, stored, values_of


@pytest.fixture(scope="module")
def tuned() -> Weights:
    return values_of(stored(world.tuned(world.base()), DType.BF16))


@pytest.fixture
def put(site: Site, tmp_path: Path, tuned: Weights) -> Site:
    """The fine-tune ``A`` and its base ``O``."""
    site.files.clear()
    add(site, tmp_path, A=tuned, O=world.base())
    return site


def add(site: Site, folder: Path, **models: Weights) -> None:
    for name, weights in models.items():
        write_safetensors(folder / "m.safetensors", stored(weights, DType.BF16))
        site.files[f"/{name}/model.safetensors"] = (folder / "m.safetensors").read_bytes()


def test_a_copy_in_another_order_is_a_copy_that_says_so(
    run: Run, put: Site, tmp_path: Path, tuned: Weights
) -> None:
    add(put, tmp_path, S=world.permuted(tuned))
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    places = [f"{put.address}/S", "-p", f"{put.address}/A"]
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    report = plain(told)
    assert (report["verdict"]["relation"], report["verdict"]["status"]) == ("copy", "supported")
    assert {r["unit"] for r in report["reorderings"]} == {"neurons", "queries and keys", "values"}
    assert all(r["one_order"] for r in report["reorderings"])
    look = report["coverage"]["order_look"]
    assert look["unlike"] == 14
    assert look["not_sought"] == []
    assert 0 < look["nbytes"] < 2_000_000
    assert any("at the places of the sample alone" in limit for limit in report["verdict"]["limits"])
    assert run("verify", saved).code == 0


def test_a_copy_in_another_order_of_a_model_that_is_kept_turned_is_a_copy_too(
    run: Run, put: Site, tmp_path: Path, tuned: Weights
) -> None:
    add(put, tmp_path, S=world.permuted(tuned), A=world.kept_turned(tuned))
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    places = [f"{put.address}/S", "-p", f"{put.address}/A"]
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    report = plain(told)
    assert (report["verdict"]["relation"], report["verdict"]["status"]) == ("copy", "supported")
    assert {r["unit"] for r in report["reorderings"]} == {"neurons", "queries and keys", "values"}
    look = report["coverage"]["order_look"]
    assert (look["unlike"], look["not_sought"]) == (14, [])
    assert plain(saved)["used"]["look"]["turned"] is True
    assert run("verify", saved).code == 0
