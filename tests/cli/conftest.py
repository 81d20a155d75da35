"""The command line, called in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkpoints.remote.servers import Hubs, Site, Threaded
from tests.cli.networks import NO_PROXY, Audit
from tests.cli.running import Run
from tests.worlds.on_a_server import merge_world, packed


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("audit", …)`` gives the exit code, standard output and standard error."""
    return Run(monkeypatch, capfd)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {f"/{n}/model.safetensors": packed(tensors) for n, tensors in merge_world().items()}


@pytest.fixture
def site(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name, value in NO_PROXY.items():
        monkeypatch.setenv(name, value)
    threaded = Threaded()
    yield Site(threaded, dict(files))
    threaded.close()


@pytest.fixture
def audit(run: Run, site: Site) -> Audit:
    return Audit(run, site)


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    return {name: packed(tensors) for name, tensors in merge_world(layers=2).items()}


@pytest.fixture
def hubs(models: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubs]:
    threaded = Threaded()
    found = Hubs(threaded)
    for name in ("a", "b", "other"):
        found.add(f"org/{name}", {"model.safetensors": models[name], "config.json": b"{}"})
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", found.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    yield found
    threaded.close()
