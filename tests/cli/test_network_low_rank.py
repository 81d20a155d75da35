"""Adapters and taken-out directions are told over a network, from parts that the budget pays for."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from tests.checkpoints.remote.servers import Site
from tests.cli.networks import plain
from tests.cli.running import Run
from tests.recognition.test_low_rank import abliterated, adapted, stored, tuned, weights
from tests.worlds.planted import Model

RELATIONS = ("adapter-fine-tune", "abliteration")


@pytest.fixture(scope="module")
def base() -> Model:
    return stored(weights(8))


def put(site: Site, folder: Path, **models: Model) -> list[str]:
    site.files.clear()
    for name, model in models.items():
        write_safetensors(folder / "m.safetensors", model)
        site.files[f"/{name}/model.safetensors"] = (folder / "m.safetensors").read_bytes()
    return [f"{site.address}/S", "-p", f"{site.address}/O"]


@pytest.mark.parametrize("relation", RELATIONS)
def test_it_is_named_over_a_network_and_derived_again(
    relation: str, run: Run, site: Site, tmp_path: Path, base: Model
) -> None:
    suspect = abliterated(base, 9) if relation == "abliteration" else adapted(base, 2, rank=4, size=0.05)
    places = put(site, tmp_path, S=suspect, O=base)
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    assert run("audit", *places, "--sample", "2048", "--evidence", saved, "--json", told).code == 0
    verdict = plain(told)["verdict"]
    assert (verdict["relation"], verdict["status"]) == (relation, "supported")
    used = plain(saved)["used"]
    assert used["parts"]
    assert all(part.startswith("1:") for part in used["parts"])
    assert run("verify", saved).code == 0


def test_a_fine_tune_of_full_rank_is_no_adapter_over_a_network(
    run: Run, site: Site, tmp_path: Path, base: Model
) -> None:
    places = put(site, tmp_path, S=tuned(base, 5, size=0.02, decay=1.2), O=base)
    told = tmp_path / "r.json"
    assert run("audit", *places, "--sample", "2048", "--json", told).code == 0
    assert plain(told)["verdict"]["relation"] not in RELATIONS


@pytest.mark.parametrize("relation", [RELATIONS[0], pytest.param(RELATIONS[1], marks=pytest.mark.slow)])
def test_a_budget_that_does_not_hold_the_matrices_names_nothing_and_says_what_it_would_take(
    relation: str, run: Run, site: Site, tmp_path: Path, base: Model
) -> None:
    suspect = abliterated(base, 9) if relation == "abliteration" else adapted(base, 2, rank=4, size=0.05)
    places = put(site, tmp_path, S=suspect, O=base)
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    # Two headers, with what is kept back, and 2,048 numbers of each tensor; hardly more.
    budget = ["--sample", "2048", "--budget", "420kB", "--evidence", saved, "--json", told]
    assert run("audit", *places, *budget).code in (0, 4)
    report = plain(told)
    assert report["verdict"]["relation"] not in RELATIONS
    assert any(
        "MB would have to be read for the first of them; --budget raises what may be" in limit
        for limit in report["verdict"]["limits"]
    )
    assert "parts" not in plain(saved)["used"]


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("name", ["A", "B"])
def test_real_fine_tunes_are_no_adapters_over_a_network(
    name: str, run: Run, site: Site, family: Path, tmp_path: Path
) -> None:
    site.files.clear()
    for model in (name, "O"):
        site.files[f"/{model}/model.safetensors"] = next(
            (family / model).glob("*.safetensors")
        ).read_bytes()
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    places = [f"{site.address}/{name}", "-p", f"{site.address}/O"]
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    assert plain(told)["verdict"]["relation"] not in RELATIONS
    evidence = plain(saved)
    assert len(evidence["used"]["parts"]) >= 10
    # A change of full rank leaves nothing beyond its rank, or more than rounding.
    found = [f for f in evidence["recognition"]["findings"] if f["kind"] == "low-rank"]
    assert all(row["excess"] > 1.5 for f in found for row in f["measures"]["rows"])
