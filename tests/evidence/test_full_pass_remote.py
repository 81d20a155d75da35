"""The full pass over a network: the counts of local files, on threads or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.checkpoints.remote.remote_limits import RemoteLimits
from parentage.engines.ray_cluster import RayEngine
from parentage.errors import ReadError, UsageError
from parentage.evidence.full import full_pass
from parentage.records.evidence import Evidence
from tests.checkpoints.remote.servers import Site, Threaded
from tests.evidence.test_full_pass import FIRST, World, counts, write

SLICE = 4096


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(full_pass, "REMOTE_SLICE", SLICE)


@pytest.fixture
def site() -> Iterator[Site]:
    threaded = Threaded()
    yield Site(threaded)
    threaded.close()


@pytest.fixture
def world(tmp_path: Path, site: Site) -> World:
    # At a quarter all arithmetics of one rounding agree: which of them the sample picks does not matter.
    found = World(tmp_path, weights=(0.25, 0.75))
    found.change(FIRST, slice(None, None, 7))
    for path in (write(tmp_path, "suspect", found.merge, found.out), *found.parents):
        site.files[f"/m/{path.name}"] = path.read_bytes()
    return found


def audit(site: Site, world: World, **options: Any) -> Evidence:
    places = [f"{site.address}/m/{p.name}" for p in (Path("suspect.safetensors"), *world.parents)]
    chosen = {"sample": 4096, "full": True, "workers": 2, **options}
    return api.audit(places[0], parents=places[1:], **chosen).evidence


def counted(evidence: Evidence) -> list[Any]:
    return [counts(t) for t in evidence.replays[0].tensors]


def test_files_on_a_server_are_counted_as_local_ones(site: Site, world: World) -> None:
    assert counted(audit(site, world)) == counted(world.audit())


@pytest.mark.slow
def test_a_budget_that_ends_in_the_middle_is_told_and_a_later_run_goes_on(
    site: Site, world: World, tmp_path: Path
) -> None:
    progress = tmp_path / "progress"
    whole = sum(len(data) for data in site.files.values())
    with pytest.raises(ReadError) as raised:
        audit(site, world, resume=progress, limits=RemoteLimits(budget_bytes=int(whole * 0.9)))
    assert raised.value.code == "budget-spent"
    done = progress.read_bytes().count(b"\n") - 1
    assert 0 < done < 12 + 5
    kept = progress.read_bytes()
    found = audit(site, world, resume=progress, limits=RemoteLimits(budget_bytes=3 * whole))
    assert progress.read_bytes().startswith(kept)
    assert counted(found) == counted(world.audit())


def test_a_budget_does_not_go_with_workers_elsewhere(site: Site, world: World) -> None:
    with pytest.raises(UsageError) as raised:
        audit(site, world, engine="ray", limits=RemoteLimits(budget_bytes=10**9))
    assert raised.value.code == "usage-engine"


@pytest.mark.slow
def test_a_cluster_reads_files_on_a_server_by_itself(site: Site, world: World) -> None:
    pytest.importorskip("ray")
    engine = RayEngine(None, 2)
    assert audit(site, world, engine=engine) == audit(site, world)
    assert sum(engine.processes.values()) == 12 + 5
