"""Models on a server whose numbers of layers differ are compared by content; with a budget by number."""

from __future__ import annotations

from pathlib import Path

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


def test_with_a_budget_layers_meet_by_number(run: Run, site: Site, tmp_path: Path) -> None:
    site.files["/stack/model.safetensors"] = stacked()
    places = [f"{site.address}/stack", "-p", f"{site.address}/a", "--budget", "50MB"]
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    assert run("audit", *places, "--evidence", saved, "--json", told).code == 0
    assert plain(told)["verdict"]["relation"] != "passthrough-merge"
    assert run("verify", saved).code == 0
