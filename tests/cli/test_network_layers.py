"""Models on a server whose layers are unlike, or of another number, are compared by content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage.evidence import measure
from parentage.evidence.sampling.orders_afar import Layers, look_afar
from tests.checkpoints.remote.servers import Site
from tests.cli.networks import plain
from tests.cli.running import Run
from tests.worlds.on_a_server import merge_world, packed

SOURCES = (0, 1, 2, 1, 2, 3)


def stacked() -> bytes:
    """Layers of ``a``: some of them twice."""
    model = merge_world()["a"]
    found = {}
    for own, source in enumerate(SOURCES):
        part = f".layers.{source}."
        found |= {n.replace(part, f".layers.{own}."): v for n, v in model.items() if part in n}
    return packed(found)


def test_repeated_layers_are_found_over_a_network_and_verified(
    run: Run, site: Site, tmp_path: Path
) -> None:
    site.files["/stack/model.safetensors"] = stacked()
    places = [f"{site.address}/stack", "-p", f"{site.address}/a", "-c", f"{site.address}/other"]
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    assert run("audit", *places, "--dry-run", "--json", told).code == 0
    # 1,024 numbers of two matrices in each of six and four layers, of two pairs.
    assert plain(told)["looks"]["layers"] == {"nbytes": 2 * 20 * 2_048, "requests": 2 * 20}
    told.unlink()
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    report = plain(told)
    assert report["verdict"]["relation"] == "passthrough-merge"
    assert report["verdict"]["status"] == "supported"
    numbers = [place["origins"][0]["number"] for place in report["layers"]]
    assert numbers == list(SOURCES)
    assert run("verify", saved).code == 0


def moved(order: tuple[int, ...]) -> bytes:
    """``a`` with its layers in another order."""
    model, found = merge_world()["a"], {}
    for own, source in enumerate(order):
        part = f".layers.{source}."
        found |= {n.replace(part, f".layers.{own}."): v for n, v in model.items() if part in n}
    return packed(found)


def test_as_many_layers_in_another_order_are_found_from_what_the_sample_shows(
    run: Run, site: Site, tmp_path: Path
) -> None:
    site.files["/moved/model.safetensors"] = moved((0, 2, 1, 3))
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    places = [f"{site.address}/moved", "-p", f"{site.address}/a", "-c", f"{site.address}/other"]
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    report = plain(told)
    assert (report["verdict"]["relation"], report["verdict"]["status"]) == (
        "passthrough-merge",
        "supported",
    )
    assert [place["origins"][0]["number"] for place in report["layers"]] == [0, 2, 1, 3]
    look = report["coverage"]["order_look"]
    assert look["layers"] is True
    # 1,024 numbers of two matrices in four layers of both models, for each pair.
    assert look["nbytes"] >= 3 * 8 * 2_048
    assert run("verify", saved).code == 0


def test_layers_that_meet_by_number_cost_nothing(run: Run, site: Site, tmp_path: Path) -> None:
    told = tmp_path / "r.json"
    assert run("audit", f"{site.address}/a", "-p", f"{site.address}/b", "--json", told).code == 0
    look = plain(told)["coverage"]["order_look"]
    assert (look["nbytes"], look["requests"], look["layers"]) == (0, 0, True)


def test_a_budget_pays_for_layers_and_where_it_does_not_they_meet_by_number(
    run: Run, site: Site, tmp_path: Path
) -> None:
    site.files["/stack/model.safetensors"] = stacked()
    places = [f"{site.address}/stack", "-p", f"{site.address}/a"]
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    assert run("audit", *places, "--budget", "50MB", "--evidence", saved, "--json", told).code == 0
    report = plain(told)
    assert report["verdict"]["relation"] == "passthrough-merge"
    assert [place["origins"][0]["number"] for place in report["layers"]] == list(SOURCES)
    assert run("verify", saved).code == 0
    told.unlink()
    saved.unlink()
    poor = ["--budget", "400kB", "--evidence", saved, "--json", told]
    assert run("audit", *places, *poor).code in (0, 4)
    report = plain(told)
    assert report["verdict"]["relation"] != "passthrough-merge"
    assert report["coverage"]["order_look"]["not_sought"]
    assert any("MB would be needed" in limit for limit in report["verdict"]["limits"])
    assert run("verify", saved).code == 0


@pytest.mark.slow
def test_evidence_of_a_version_that_did_not_look_for_layers_is_derived_as_it_was(
    run: Run, site: Site, tmp_path: Path
) -> None:
    site.files["/moved/model.safetensors"] = moved((0, 2, 1, 3))
    saved, older = tmp_path / "e.json", tmp_path / "older.json"
    places = [f"{site.address}/moved", "-p", f"{site.address}/a"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "look_afar", lambda *given: look_afar(*given[:-2], Layers.NONE, given[-1]))
        assert run("audit", *places, "--evidence", saved).code == 0
    evidence = plain(saved)
    assert evidence["alignment"]["layer_maps"] == []
    assert "layers" not in evidence["used"]["look"]
    del evidence["alignment"]["look"]["layers"]
    older.write_text(json.dumps(evidence))
    assert run("verify", older).code == 0
