"""Ordinary web addresses: what is read, with how many requests and bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.range_files import PREFIX
from parentage.checkpoints.remote.remote_session import RemoteSession
from tests.checkpoints.remote.models import arrays
from tests.checkpoints.remote.servers import Site, index_of

Make = Callable[..., RemoteSession]
SHARD = "model-00002-of-00004.safetensors"


def check_all(checkpoint: Checkpoint, expected: dict[str, Any]) -> None:
    """Every tensor has its bits."""
    assert list(checkpoint.tensors) == sorted(expected)
    for name, array in expected.items():
        assert checkpoint.read(name, 0, array.size).tobytes() == array.tobytes()


def test_a_folder_is_read_whole_and_right(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m/", session=session()) as checkpoint:
        assert checkpoint.remote
        assert checkpoint.config == {"architectures": ["Tiny"]}
        assert checkpoint.read_text("README.md").startswith("---")
        assert checkpoint.locator == f"{site.address}/m/"
        check_all(checkpoint, arrays())
        assert checkpoint.oddities == ()


def test_one_file_is_opened_by_its_address(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m/{SHARD}", session=session()) as checkpoint:
        assert list(checkpoint.tensors) == ["layers.1.n", "layers.1.w"]
        assert "config.json" in checkpoint.files


def test_opening_takes_one_request_a_shard_and_counts_them(site: Site, session: Make) -> None:
    shared = session()
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        shards = [a for a in site.gets if a.path.endswith(".safetensors")]
        assert [a.range for a in shards] == [(0, PREFIX - 1)] * 4
        assert checkpoint.folder.requests == shared.requests == len(site.asked)
        body = sum(len(site.files[f"/m/{n}"]) for n in ("model.safetensors.index.json", "config.json"))
        assert checkpoint.folder.bytes_read == shared.bytes_read == 4 * PREFIX + body
        assert shared.resolves == 0


def test_announced_spans_are_fetched_together_and_not_again(site: Site, session: Make) -> None:
    shared = session()
    flat = arrays()["layers.1.w"].reshape(-1)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        before = shared.requests
        starts = np.array([9000, 9100, 9200, 18000], dtype=np.int64)  # past the prefix
        blocks = checkpoint.read_blocks("layers.1.w", starts, 64)
        assert np.array_equal(blocks, np.stack([flat[s : s + 64].view(np.uint32) for s in starts]))
        # 9000 to 9264 lie near each other, 18000 is 35 kB away.
        assert shared.requests == before + 2
        checkpoint.read_blocks("layers.1.w", starts, 64)
        assert shared.requests == before + 2


def test_a_gap_dearer_than_a_request_is_not_fetched(site: Site, session: Make) -> None:
    shared = session()
    with open_checkpoint(f"{site.address}/m/{SHARD}", session=shared) as checkpoint:
        before = shared.bytes_read
        checkpoint.read_blocks("layers.1.w", np.array([8500, 19000], np.int64), 16)
        assert shared.bytes_read - before == 2 * 64


def test_many_ranges_are_in_flight_at_once_and_never_more_than_allowed(site: Site, session: Make) -> None:
    site.latency = 0.02
    shared = session(concurrency=4)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        files = list(checkpoint._files.values())
        site.most_in_flight = 0
        got = shared.fetch_all([(f, [(f.size - 4000, 100), (f.size - 40000, 100)]) for f in files])
        assert got == 8 * 100
        assert site.most_in_flight == 4


def test_one_call_fetches_over_all_files(site: Site, session: Make) -> None:
    shared = session()
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        files = list(checkpoint._files.values())
        shared.fetch_all([(f, [(f.size - 400, 400)]) for f in files])
        sent = shared.requests
        for file in files:
            raw = bytearray(400)
            file.read_into(file.size - 400, memoryview(raw))
            assert bytes(raw) == site.files[f"/m/{file.name}"][-400:]
        assert shared.requests == sent


def test_blocks_are_the_file(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m", session=session()) as checkpoint:
        for shard in checkpoint.shards:
            whole = b"".join(block for _, block in checkpoint.blocks(shard))
            assert whole == site.files[f"/m/{shard.name}"]


def test_memory_is_bounded_and_what_was_dropped_is_fetched_again(site: Site, session: Make) -> None:
    shared = session(memory_bytes=50_000)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        for _ in range(2):
            check_all(checkpoint, arrays())
        assert shared._memory.held <= 50_000 + 80_000  # the newest piece is held whatever its size
        assert shared.bytes_read > 2 * 3 * 70_000


def test_several_threads_read_the_same_bits_and_fetch_nothing_twice(site: Site, session: Make) -> None:
    import threading

    shared = session()
    flat = arrays()["layers.2.w"].reshape(-1)
    wrong: list[int] = []
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(100):
                start = int(rng.integers(0, flat.size - 50))
                if checkpoint.read("layers.2.w", start, 50).tobytes() != flat[start : start + 50].tobytes():
                    wrong.append(start)

        before = shared.bytes_read
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shared.bytes_read - before <= flat.nbytes
    assert wrong == []


def test_a_header_longer_than_the_first_read_takes_one_request_more(site: Site, session: Make) -> None:
    from safetensors.numpy import save

    many = {f"layers.{k:04}.with.a.long.name.weight": np.full(2, k, np.float32) for k in range(900)}
    site.files = {"/big/model.safetensors": save(many)}
    with open_checkpoint(f"{site.address}/big", session=session()) as checkpoint:
        header = [a for a in site.gets if a.path.endswith("model.safetensors")]
        assert [a.range for a in header] == [
            (0, PREFIX - 1),
            (PREFIX, checkpoint.shards[0].header_bytes - 1),
        ]
        check_all(checkpoint, many)


def test_long_headers_of_many_shards_are_fetched_in_parallel(site: Site, session: Make) -> None:
    from safetensors.numpy import save

    shards = [
        {f"part.{part}.with.a.long.name.{k:04}.weight": np.full(2, k, np.float32) for k in range(900)}
        for part in range(3)
    ]
    mapping = {name: f"{k}.safetensors" for k, part in enumerate(shards) for name in part}
    site.files = {f"/big/{k}.safetensors": save(part) for k, part in enumerate(shards)}
    site.files["/big/model.safetensors.index.json"] = index_of(mapping)
    site.latency = 0.1
    together: list[int] = []

    async def watch(request: web.Request, number: int) -> web.StreamResponse | None:
        if f"bytes={PREFIX}-" in request.headers.get("Range", ""):
            together.append(site.in_flight)
        return None

    site.fault = watch
    with open_checkpoint(f"{site.address}/big", session=session()) as checkpoint:
        assert len(checkpoint.tensors) == 2700
    assert (len(together), max(together)) == (3, 3)


def test_what_a_reader_waits_for_goes_before_what_was_announced(site: Site, session: Make) -> None:
    shared = session(concurrency=1)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        site.latency = 0.02
        before = len(site.asked)
        first, last = list(checkpoint._files.values())[::3]
        first.announce([(40_000, 8)])
        for file in list(checkpoint._files.values())[:3]:
            file.announce([(at, 8) for at in (35_000, 76_000)])
        raw = bytearray(8)
        last.read_into(60_000, memoryview(raw))
        assert [a.range for a in site.asked[before:]].index((60_000, 60_007)) <= 2


def test_names_with_odd_letters_are_addressed_right(site: Site, session: Make) -> None:
    raw = site.files["/m/" + SHARD]
    site.files["/x y/ß #1?.safetensors"] = raw
    address = f"{site.address}/x%20y/%C3%9F%20%231%3F.safetensors"
    with open_checkpoint(address, session=session()) as checkpoint:
        assert [s.name for s in checkpoint.shards] == ["ß #1?.safetensors"]


def test_a_query_is_sent_and_never_kept(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m/{SHARD}?sig=hush", session=session()) as checkpoint:
        assert "hush" not in checkpoint.locator + str(checkpoint.oddities)
        assert any("query" in o for o in checkpoint.oddities)


def test_progress_hears_the_counters(site: Site, session: Make) -> None:
    heard: list[Any] = []
    shared = session(progress=heard.append)
    with open_checkpoint(f"{site.address}/m", session=shared):
        pass
    assert heard[-1].bytes_read == shared.bytes_read > 0


def test_a_model_without_a_session_closes_its_own(site: Site) -> None:
    with open_checkpoint(f"{site.address}/m") as checkpoint:
        check_all(checkpoint, arrays())
    import threading

    assert not any(t.name == "parentage-network" for t in threading.enumerate())


@pytest.mark.parametrize("latency", [0.0, 0.05])
def test_shards_open_in_parallel(site: Site, session: Make, latency: float) -> None:
    site.latency = latency
    with open_checkpoint(f"{site.address}/m", session=session()):
        assert site.most_in_flight >= (4 if latency else 1)


def test_the_environments_proxy_is_used_but_for_hosts_that_it_excepts(
    site: Site, session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for address in ("http://models.invalid/m", f"{site.address}/m"):
        with open_checkpoint(address, session=session()) as checkpoint:
            check_all(checkpoint, arrays())
    hosts = {a.headers["Host"] for a in site.asked}
    assert hosts == {"models.invalid", site.address.removeprefix("http://")}


def test_a_header_that_is_read_on_and_on_in_small_steps_takes_few_requests(
    site: Site, session: Make
) -> None:
    shared = session()
    with open_checkpoint(f"{site.address}/m/{SHARD}", session=shared) as checkpoint:
        file, before = checkpoint._files[SHARD], shared.requests
        whole = bytearray(file.size)
        for at in range(0, file.size, 100):
            file.read_into(at, memoryview(whole)[at : at + 100])
        assert bytes(whole) == site.files[f"/m/{SHARD}"]
        assert shared.requests - before <= 2
