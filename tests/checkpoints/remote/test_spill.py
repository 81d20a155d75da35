"""What memory does not hold lies in an unnamed file of the session: not fetched twice, nor left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.checkpoints.spill import Spill
from tests.checkpoints.remote.models import arrays
from tests.checkpoints.remote.servers import Hub
from tests.checkpoints.remote.test_web import check_all

Make = Callable[..., RemoteSession]
MEMORY = 20_000


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))


def fetched_in_two_readings(shared: RemoteSession) -> tuple[int, int]:
    """Bytes that came for the first reading of everything, and for a second one."""
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        opened = shared.bytes_read
        check_all(checkpoint, arrays())
        once = shared.bytes_read
        check_all(checkpoint, arrays())
        return once - opened, shared.bytes_read - once


def test_what_was_read_once_is_not_fetched_again(hub: Hub, session: Make) -> None:
    held = session(hub_endpoint=hub.address, memory_bytes=MEMORY, spill_bytes=10**8)
    once, again = fetched_in_two_readings(held)
    assert once > 2 * MEMORY
    assert again == 0
    forgetful = session(hub_endpoint=hub.address, memory_bytes=MEMORY)
    assert fetched_in_two_readings(forgetful)[1] > MEMORY


def test_a_full_spill_is_no_failure(hub: Hub, session: Make) -> None:
    shared = session(hub_endpoint=hub.address, memory_bytes=MEMORY, spill_bytes=MEMORY)
    assert fetched_in_two_readings(shared)[1] > 0


def test_nothing_is_left_in_the_folder_of_temporary_files(
    hub: Hub, session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    shared = session(hub_endpoint=hub.address, memory_bytes=MEMORY, spill_bytes=10**8)
    fetched_in_two_readings(shared)
    assert list(folder.iterdir()) == []


def test_slices_come_back_as_they_went_and_only_whole() -> None:
    spill = Spill(10)
    one, other = spill.of("x"), spill.of(None)
    assert one.save(5, b"abc")
    assert other.save(5, b"defg")
    assert (one.load(5, 8), other.load(5, 9), one.load(5, 7)) == (b"abc", b"defg", None)
    assert not one.save(20, b"too much")
    assert not one.save(30, b"")
    assert one.spans() == []
    spill.close()
    spill.close()
    assert one.load(5, 8) is None
    assert not one.save(40, b"x")


def test_a_folder_that_cannot_be_written_makes_it_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    spill = Spill(10**6)
    slices = spill.of("x")
    assert not slices.save(0, b"abc")
    assert slices.load(0, 3) is None
