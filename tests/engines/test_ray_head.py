"""A cluster head that answers no more ends the run with one error, after a while and not before."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from parentage.engines.ray_head import Head
from parentage.errors import ReadError


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(Head, "abandoned", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def watched(server: socket.socket, **times: float) -> Head:
    return Head(SimpleNamespace(shutdown=lambda: None), server.getsockname()[:2], **times)


def test_a_head_that_answers_is_left_in_peace(listening: socket.socket) -> None:
    head = watched(listening, period=0.0, silence=0.0)
    for _ in range(3):
        head.check()
    assert not head.lost


def test_a_head_that_is_gone_is_told_after_its_silence_and_not_before(listening: socket.socket) -> None:
    head = watched(listening, period=0.0, silence=0.3)
    head.check()
    address = listening.getsockname()
    listening.close()
    head.check()
    assert not head.lost
    time.sleep(0.3)
    with pytest.raises(ReadError) as raised:
        head.check()
    assert (raised.value.code, raised.value.where) == ("engine-cluster-lost", f"{address[0]}:{address[1]}")
    assert head.lost
    assert Head.abandoned


def test_where_no_address_is_known_nothing_is_watched() -> None:
    def unknown() -> None:
        raise RuntimeError("a client of a cluster elsewhere")

    head = Head.of(SimpleNamespace(get_runtime_context=unknown))
    assert head.address is None
    head.check()
    found = Head.of(SimpleNamespace(get_runtime_context=lambda: SimpleNamespace(gcs_address="[::1]:6379")))
    assert found.address == ("::1", 6379)
