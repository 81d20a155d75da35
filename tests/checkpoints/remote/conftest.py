"""Servers and sessions, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.checkpoints.remote.retries import RetryPolicy
from tests.checkpoints.remote.models import arrays, files_of
from tests.checkpoints.remote.servers import Hub, Site, Threaded

QUICK = RetryPolicy(attempts=4, first=0.01, longest=0.05, patience=5.0, timeout=2.0)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def threaded() -> Iterator[Threaded]:
    servers = Threaded()
    yield servers
    servers.close()


@pytest.fixture
def site(threaded: Threaded) -> Site:
    return Site(threaded, {f"/m/{n}": data for n, data in files_of(arrays()).items()})


@pytest.fixture
def hub(threaded: Threaded) -> Hub:
    found = Hub(threaded)
    found.add(files_of(arrays()))
    return found


@pytest.fixture
def session() -> Iterator[Callable[..., RemoteSession]]:
    opened: list[RemoteSession] = []

    def make(**options: Any) -> RemoteSession:
        opened.append(RemoteSession(**{"retries": QUICK, **options}))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
