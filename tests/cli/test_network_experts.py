"""Experts that began as dense models' parts are told over a network, where the budget holds them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoints.remote.servers import Site
from tests.cli.networks import plain
from tests.cli.running import Run
from tests.merging.models import write_model
from tests.recognition.test_experts import dense, mixture


@pytest.mark.parametrize("budget", [None, pytest.param("700kB", marks=pytest.mark.slow)])
def test_a_mixture_is_told_as_made_of_its_dense_models_or_not_at_all(
    budget: str | None, site: Site, run: Run, tmp_path: Path
) -> None:
    site.files.clear()
    parents = {n: dense(k) for k, n in enumerate("AB")}
    write_model(tmp_path / "S", mixture(list(parents.values()), 4), config={"model_type": "mixtral"})
    for name, weights in parents.items():
        write_model(tmp_path / name, weights)
    for file in tmp_path.rglob("*.*"):
        site.files[f"/{file.parent.name}/{file.name}"] = file.read_bytes()
    saved, told = tmp_path / "e.json", tmp_path / "r.json"
    places = [f"{site.address}/S", "-p", f"{site.address}/A", "-p", f"{site.address}/B"]
    more = [] if budget is None else ["--budget", budget, "--sample", "1024"]
    outcome = run("audit", *places, *more, "--evidence", saved, "--json", told)
    assert outcome.code in (0, 4), outcome.err
    found = plain(told)["verdict"]
    assert ((found["relation"], found["status"]) == ("upcycled-moe", "supported")) is (budget is None)
    assert ("experts" in plain(saved)["used"].get("parts", ())) is (budget is None)
    assert run("verify", saved).code == 0
