"""Servers that fail, lie or change their mind: each has its own error, and none is believed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.digests import digest_shard
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.checkpoints.remote.retries import RetryPolicy
from parentage.errors import InputMissingError, ParentageError, ReadError
from tests.checkpoints.remote.conftest import QUICK, _no_proxies, hub, session, site, threaded
from tests.checkpoints.remote.models import INDEX, arrays, files_of
from tests.checkpoints.remote.servers import SECRET, Hub, Site, Threaded, index_of, ranged
from tests.checkpoints.remote.test_web import check_all

__all__ = ["_no_proxies", "hub", "session", "site", "threaded"]

Make = Callable[..., RemoteSession]
SHARD = "model-00002-of-00004.safetensors"
FILE = files_of(arrays())[SHARD]
TOTAL = len(FILE)
ETAG = {"ETag": f'"{hashlib.md5(FILE).hexdigest()}"'}
Handler = Callable[[web.Request, int], Awaitable[web.StreamResponse | None]]


def always(make: Callable[[web.Request], web.StreamResponse]) -> Handler:
    async def fault(request: web.Request, number: int) -> web.StreamResponse | None:
        return make(request) if request.path.endswith(".safetensors") else None

    return fault


def status(code: int, **headers: str) -> Handler:
    return always(lambda request: web.Response(status=code, headers=headers))


def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>log in</html>", content_type="text/html")


def whole(request: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(50_000_000), content_type="application/octet-stream")


def bounds(request: web.Request) -> tuple[int, int]:
    first, last = request.headers["Range"].removeprefix("bytes=").split("-")
    return int(first), min(int(last), TOTAL - 1)


def shifted(request: web.Request) -> web.StreamResponse:
    first, last = bounds(request)
    found = ranged(request, bytes(TOTAL), None)
    found.headers["Content-Range"] = (
        f"bytes {first - 1}-{last - 1}/{TOTAL}" if first else f"bytes 1-{last + 1}/{TOTAL}"
    )
    return found


def unsaid(request: web.Request) -> web.StreamResponse:
    found = ranged(request, bytes(TOTAL), None)
    del found.headers["Content-Range"]
    return found


def short(request: web.Request) -> web.StreamResponse:
    found = ranged(request, bytes(TOTAL), None)
    found.body = b"too short"
    return found


def squeezed(request: web.Request) -> web.StreamResponse:
    return ranged(request, bytes(TOTAL), None, **{"Content-Encoding": "br"})


def to_a_file(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "file:///etc/passwd"})


def to_itself(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": request.path})


async def _cut(request: web.Request, number: int) -> web.StreamResponse | None:
    """The body ends in its middle."""
    if "Range" not in request.headers:
        return None
    first, last = bounds(request)
    headers = {"Content-Range": f"bytes {first}-{last}/{TOTAL}"} | ETAG
    response = web.StreamResponse(status=206, headers=headers)
    response.content_length = last + 1 - first
    await response.prepare(request)
    await response.write(bytes(100))
    assert request.transport is not None
    request.transport.abort()
    return response


async def _silent(request: web.Request, number: int) -> web.StreamResponse | None:
    if "Range" in request.headers:
        await asyncio.sleep(3)
    return None


# What the server does, the code while a model is opened (exit code 3), and the code later (4).
FAILURES: list[tuple[str, Handler, str, str]] = [
    ("401", status(401), "remote-unauthorised", "read-unauthorised"),
    ("403", status(403), "remote-forbidden", "read-forbidden"),
    ("404", status(404), "remote-absent", "read-absent"),
    ("410", status(410), "remote-absent", "read-absent"),
    ("416", status(416), "remote-no-ranges", "read-range-refused"),
    ("418", status(418), "remote-refused", "read-status"),
    ("429", status(429), "remote-unreachable", "read-throttled"),
    ("500", status(500), "remote-unreachable", "read-server"),
    ("503", status(503), "remote-unreachable", "read-server"),
    ("a web page", always(page), "remote-html", "read-html"),
    ("the whole file", always(whole), "remote-no-ranges", "read-range-ignored"),
    ("another range", always(shifted), "remote-no-ranges", "read-range-wrong"),
    ("no Content-Range", always(unsaid), "remote-no-ranges", "read-range-wrong"),
    ("a wrong Content-Length", always(short), "remote-no-ranges", "read-range-wrong"),
    ("compressed", always(squeezed), "remote-no-ranges", "read-range-wrong"),
    ("a redirect to a file", always(to_a_file), "remote-redirect", "read-redirect"),
    ("a redirect to itself", always(to_itself), "remote-redirect", "read-redirect"),
    ("a body cut short", _cut, "remote-unreachable", "read-truncated"),
    ("silence", _silent, "remote-unreachable", "read-timeout"),
]
each_failure = pytest.mark.parametrize(
    ("handler", "opening", "later"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)
IMPATIENT = RetryPolicy(attempts=2, first=0.01, longest=0.02, patience=2.0, timeout=0.3)


def refusal(locator: str, shared: RemoteSession, code: str) -> ParentageError:
    with pytest.raises(ParentageError) as caught, open_checkpoint(locator, session=shared):
        pass
    error = caught.value
    assert error.code == code
    assert error.message
    assert error.where
    assert error.hint
    return error


def read_far(checkpoint: Checkpoint) -> bytes:
    """Past what opening fetched."""
    return checkpoint.read("layers.1.w", 15_000, 100).tobytes()


@each_failure
def test_at_opening_each_failure_means_that_there_is_no_input(
    handler: Handler, opening: str, later: str, site: Site, session: Make
) -> None:
    site.fault = handler
    error = refusal(f"{site.address}/m/{SHARD}", session(retries=IMPATIENT), opening)
    assert isinstance(error, InputMissingError)
    assert error.exit_code == 3
    assert error.where == f"{site.address}/m/{SHARD}"


@each_failure
def test_later_each_failure_means_that_something_planned_was_not_read(
    handler: Handler, opening: str, later: str, site: Site, session: Make
) -> None:
    shared = session(retries=IMPATIENT)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        site.fault = handler
        before = shared.bytes_read
        with pytest.raises(ReadError) as caught:
            read_far(checkpoint)
        assert caught.value.code == later
        assert caught.value.exit_code == 4
        # The whole file that a server would send is not downloaded.
        assert shared.bytes_read - before < 100_000
        site.fault = None
        assert read_far(checkpoint) == arrays()["layers.1.w"].reshape(-1)[15_000:15_100].tobytes()


def test_what_passes_is_tried_again(site: Site, session: Make) -> None:
    async def sometimes(request: web.Request, number: int) -> web.StreamResponse | None:
        if number % 3 == 0:
            return web.Response(status=503)
        cut = number % 7 == 0 and request.path.endswith(SHARD)
        return await _cut(request, number) if cut else None

    site.fault = sometimes
    shared = session(retries=RetryPolicy(attempts=8, first=0.001, longest=0.01, patience=20))
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        check_all(checkpoint, arrays())
        for start in range(0, 15_000, 1000):
            checkpoint.read("layers.1.w", start, 10)
    assert shared.requests == len(site.asked)


def test_retry_after_is_waited_for_by_all(site: Site, session: Make) -> None:
    """Also by requests that did not hear it."""

    async def once(request: web.Request, number: int) -> web.StreamResponse | None:
        moments.append(asyncio.get_running_loop().time())
        limited = web.Response(status=429, headers={"Retry-After": "1"})
        return limited if len(moments) == 1 else None

    moments: list[float] = []
    shared = session(concurrency=1)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        site.fault = once
        meter = shared.meter()
        checkpoint.announce("layers.1.w", 15_000, 100)
        while not moments:
            threading.Event().wait(0.01)
        shared.run(shared.client.size_of(f"{site.address}/m/config.json", {}, meter))
        assert moments[1] - moments[0] >= 1.0
        read_far(checkpoint)


def test_the_hubs_rate_limit_is_waited_for(site: Site, session: Make) -> None:
    async def once(request: web.Request, number: int) -> web.StreamResponse | None:
        moments.append(asyncio.get_running_loop().time())
        limited = web.Response(status=429, headers={"RateLimit": '"resolvers";r=0;t=1'})
        return limited if len(moments) == 1 else None

    moments: list[float] = []
    with open_checkpoint(f"{site.address}/m", session=session()) as checkpoint:
        site.fault = once
        read_far(checkpoint)
    assert moments[1] - moments[0] >= 1.0


def test_what_was_announced_and_failed_fails_where_it_is_read(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m", session=session(retries=IMPATIENT)) as checkpoint:
        site.fault = status(404)
        checkpoint.announce("layers.1.w", 15_000, 100)
        with pytest.raises(ReadError) as caught:
            read_far(checkpoint)
        assert caught.value.code == "read-absent"
        site.fault = None
        assert len(read_far(checkpoint)) == 400


def test_an_index_of_very_many_files_is_refused(site: Site, session: Make) -> None:
    site.files[f"/m/{INDEX}"] = index_of({f"t{k}": f"{k}.safetensors" for k in range(10_001)})
    refusal(f"{site.address}/m", session(), "index-malformed")
    assert len(site.asked) == 1


def test_a_wait_beyond_patience_is_not_begun(site: Site, session: Make) -> None:
    shared = session()
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        site.fault = status(429, **{"Retry-After": "86400"})
        before = shared.requests
        with pytest.raises(ReadError, match="429"):
            read_far(checkpoint)
        assert shared.requests == before + 1


def test_nothing_listens_there(session: Make) -> None:
    refusal("http://127.0.0.1:9/m", session(), "remote-unreachable")


def test_a_connection_refused_later_is_no_answer(threaded: Threaded, session: Make) -> None:
    servers = Threaded()
    other = Site(servers, {f"/{SHARD}": bytes(8)})
    other.files = {f"/{n}": data for n, data in files_of(arrays()).items()}
    with open_checkpoint(other.address, session=session()) as checkpoint:
        servers.close()
        with pytest.raises(ReadError) as caught:
            read_far(checkpoint)
    assert caught.value.code == "read-unreachable"


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changes_between_requests_is_noticed(etags: bool, site: Site, session: Make) -> None:
    site.etags = etags
    with open_checkpoint(f"{site.address}/m", session=session()) as checkpoint:
        raw = site.files[f"/m/{SHARD}"]
        # Of the same size with an ETag; where there is none, only a new size tells.
        site.files[f"/m/{SHARD}"] = raw[:-1] + b"!" if etags else raw + b"!"
        with pytest.raises(ReadError) as caught:
            read_far(checkpoint)
        assert caught.value.code == "read-changed"
        assert any("ETag" in o for o in checkpoint.oddities) is not etags


def test_a_change_is_noticed_while_a_file_is_digested(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m", session=session()) as checkpoint:
        site.files[f"/m/{SHARD}"] = bytes(len(site.files[f"/m/{SHARD}"]))
        with pytest.raises(ReadError) as caught:
            digest_shard(checkpoint, next(s for s in checkpoint.shards if s.name == SHARD))
        assert caught.value.code == "read-changed"


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/passwd", "a\\b.safetensors", "a\0b", "a//b", ""]
)
def test_an_index_that_leads_out_of_its_folder_is_refused(
    name: str, site: Site, hub: Hub, session: Make
) -> None:
    site.files[f"/m/{INDEX}"] = hub.files[INDEX] = index_of({"t": name})
    before = len(site.asked)
    refusal(f"{site.address}/m", session(), "index-escapes")
    assert len(site.asked) == before + 1
    refusal("hf://org/model", session(hub_endpoint=hub.address), "index-escapes")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "json-malformed"),
        (b'{"weight_map": []}', "index-malformed"),
        (b'{"weight_map": {"a": 1}}', "index-malformed"),
        (b'{"weight_map": {"a": "b", "a": "c"}}', "json-duplicate-name"),
    ],
)
def test_a_malformed_index_is_refused(raw: bytes, code: str, site: Site, session: Make) -> None:
    site.files[f"/m/{INDEX}"] = raw
    refusal(f"{site.address}/m", session(), code)


def test_an_index_may_not_be_endless(site: Site, session: Make) -> None:
    async def endless(request: web.Request, number: int) -> web.StreamResponse | None:
        if request.method == "HEAD":
            return None
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(2**20))

    site.fault = endless
    shared = session(budget_bytes=200 * 2**20)
    refusal(f"{site.address}/m", shared, "remote-too-large")
    assert shared.bytes_read < 66 * 2**20


def test_a_shard_that_the_hub_does_not_hold_is_named(hub: Hub, session: Make) -> None:
    del hub.files[SHARD]
    error = refusal("hf://org/model", session(hub_endpoint=hub.address), "index-absent-shard")
    assert SHARD in error.message


def test_a_model_or_revision_that_the_hub_does_not_have_is_absent(hub: Hub, session: Make) -> None:
    shared = session(hub_endpoint=hub.address)
    assert "RepoNotFound" in refusal("hf://org/other", shared, "remote-absent").message
    assert "RevisionNotFound" in refusal("hf://org/model@v9", shared, "remote-absent").message
    refusal("hf://org/model/absent", shared, "remote-absent")


def test_private_and_gated_models_say_what_to_do(hub: Hub, session: Make) -> None:
    hub.private = True
    assert (
        "HF_TOKEN"
        in refusal("hf://org/model", session(hub_endpoint=hub.address), "remote-unauthorised").hint
    )
    hub.private, hub.gated = False, True
    assert "access" in refusal("hf://org/model", session(hub_endpoint=hub.address), "remote-forbidden").hint


@pytest.mark.parametrize(
    "table",
    [[], {"sha": "main"}, {"sha": "../../etc"}, {"sha": 7, "siblings": []}, b"<html>", b"[" * 100_000],
)
def test_a_listing_that_makes_no_sense_is_refused(table: Any, hub: Hub, session: Make) -> None:
    raw = table if isinstance(table, bytes) else json.dumps(table).encode()

    async def fault(request: web.Request, number: int) -> web.StreamResponse | None:
        return web.Response(body=raw, content_type="application/json")

    hub.fault = fault
    refusal("hf://org/model", session(hub_endpoint=hub.address), "remote-listing")


def test_a_hub_without_weights_or_with_others_is_refused(hub: Hub, session: Make) -> None:
    hub.files = {"README.md": b"", "..\\x.safetensors": b"", "../x.safetensors": b""}
    refusal("hf://org/model", session(hub_endpoint=hub.address), "no-weights")
    hub.files = {"pytorch_model.bin": b""}
    refusal("hf://org/model", session(hub_endpoint=hub.address), "format-not-read")


def test_names_that_are_no_files_are_told_and_not_read(hub: Hub, session: Make) -> None:
    hub.add({"../evil.safetensors": b"x"})
    with open_checkpoint("hf://org/model", session=session(hub_endpoint=hub.address)) as checkpoint:
        assert any("evil" in o for o in checkpoint.oddities)


def test_a_size_that_is_not_the_listed_one_is_a_change(hub: Hub, session: Make) -> None:
    real = hub.files[SHARD]
    shared = session(hub_endpoint=hub.address)
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        for path in list(hub.storage.files):
            hub.storage.files[path] += b"!"
        with pytest.raises(ReadError) as caught:
            read_far(checkpoint)
    assert caught.value.code == "read-changed"
    assert real == hub.files[SHARD]


def test_a_token_never_follows_a_redirect_to_another_host(
    hub: Hub, session: Make, threaded: Threaded
) -> None:
    """Neither from the listing, nor from a side file, nor from a weight file."""
    thief = Site(threaded)
    hub.private = True
    for marker in ("/api/", "config.json", ".safetensors"):

        async def fault(
            request: web.Request, number: int, marker: str = marker
        ) -> web.StreamResponse | None:
            if marker not in request.path:
                return None
            return web.Response(status=307, headers={"Location": thief.address + request.path})

        hub.fault = fault
        try:
            with open_checkpoint(
                "hf://org/model", session=session(hub_endpoint=hub.address, hub_token=SECRET)
            ):
                pass
        except ParentageError:
            pass
    assert len(thief.asked) >= 3
    assert not any("Authorization" in a.headers or SECRET in str(a) for a in thief.asked)


@pytest.mark.parametrize(
    "locator",
    [
        "ftp://host/m",
        "https://",
        "https://user:pa55@host/m",
        "s3://",
        "s3://bucket/../x",
        "file:///etc/passwd",
    ],
)
def test_a_locator_that_names_no_place_is_a_mistake_of_use(locator: str, session: Make) -> None:
    error = refusal(locator, session(), "usage-locator")
    assert error.exit_code == 2
    assert "pa55" not in str(error)


def test_a_budget_refuses_before_it_sends(site: Site, session: Make) -> None:
    shared = session(budget_bytes=150_000)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        before = len(site.asked)
        with pytest.raises(ReadError) as caught:
            checkpoint.announce_blocks("layers.3.w", np.array([9000], np.int64), 10_000)
        assert caught.value.code == "budget-spent"
        assert "40,000 bytes in 1 requests" in caught.value.message
        checkpoint.announce_blocks("layers.3.w", np.array([9000], np.int64), 100)
        checkpoint.read("layers.3.w", 9000, 100)
        assert len(site.asked) == before + 1
        assert shared.bytes_read <= 150_000


@pytest.mark.parametrize("budget", [{"budget_requests": 5}, {"budget_bytes": 1000}, {"budget_requests": 0}])
def test_a_budget_holds_while_a_model_is_opened(budget: dict[str, int], site: Site, session: Make) -> None:
    shared = session(**budget)
    error = refusal(f"{site.address}/m", shared, "budget-spent")
    assert error.exit_code == 4
    assert shared.requests <= budget.get("budget_requests", 100)
    assert shared.bytes_read <= budget.get("budget_bytes", 10**9)
    assert len(site.asked) <= budget.get("budget_requests", 100)


def test_retries_count_in_the_budget(site: Site, session: Make) -> None:
    opened = session()
    with open_checkpoint(f"{site.address}/m", session=opened):
        needed = opened.requests
    shared = session(budget_requests=needed + 2, retries=QUICK)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        site.fault = status(503)
        with pytest.raises(ReadError) as caught:
            read_far(checkpoint)
    assert caught.value.code == "budget-spent"
    assert shared.requests == needed + 2


def test_a_plan_over_many_files_is_refused_whole(site: Site, session: Make) -> None:
    shared = session(budget_bytes=250_000)
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        before = len(site.asked)
        files = list(checkpoint._files.values())
        with pytest.raises(ReadError) as caught:
            shared.fetch_all([(f, [(40_000, 35_000)]) for f in files])
        assert caught.value.code == "budget-spent"
        read_far(checkpoint)
        assert len(site.asked) == before + 1


def test_a_closed_model_is_not_read(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m", session=session()) as checkpoint:
        file = next(iter(checkpoint._files.values()))
    for work in (
        lambda: file.read_into(0, memoryview(bytearray(4))),
        lambda: file.announce([(0, 4)]),
        lambda: next(iter(file.blocks())),
    ):
        with pytest.raises(ReadError) as caught:
            work()
        assert caught.value.code == "read-closed"


def test_closing_a_session_frees_who_waits(site: Site, session: Make) -> None:
    shared = session(retries=RetryPolicy(timeout=30))
    codes: list[str] = []
    with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
        site.latency = 2.0

        def wait() -> None:
            try:
                read_far(checkpoint)
            except ReadError as error:
                codes.append(error.code)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not site.in_flight:
            threading.Event().wait(0.01)
        shared.close()
        waiting.join(timeout=10)
    assert codes == ["read-closed"]


def test_a_read_outside_the_file_is_refused(site: Site, session: Make) -> None:
    with open_checkpoint(f"{site.address}/m", session=session()) as checkpoint:
        file = next(iter(checkpoint._files.values()))
        with pytest.raises(ReadError) as caught:
            file.read_into(file.size - 2, memoryview(bytearray(4)))
        assert caught.value.code == "read-truncated"


def test_a_header_that_claims_a_hundred_megabytes_costs_no_more_than_the_file(
    threaded: Threaded, session: Make
) -> None:
    raw = (99_000_000).to_bytes(8, "little") + b"{" + bytes(40_000)
    other = Site(threaded, {"/model.safetensors": raw})
    refusal(f"{other.address}/model.safetensors", session(), "header-truncated")


def test_an_empty_file_is_no_model(threaded: Threaded, session: Make) -> None:
    other = Site(threaded, {"/model.safetensors": b""})
    refusal(f"{other.address}/model.safetensors", session(), "header-truncated")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_small_file_that_is_large_is_not_read_on(chunked: bool, site: Site, session: Make) -> None:
    async def long(request: web.Request, number: int) -> web.StreamResponse | None:
        response = web.StreamResponse()
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = 10**9
        await response.prepare(request)
        while True:
            await response.write(bytes(2**16))

    site.fault = long
    shared = session()
    with pytest.raises(ReadError) as caught:
        shared.run(shared.client.body(f"{site.address}/x", {}, shared.meter(), 1000))
    assert caught.value.code == "read-too-large"
    assert shared.bytes_read < 10**6
    assert (
        len(shared.run(shared.client.body(f"{site.address}/x", {}, shared.meter(), 1000, cut=True))) == 1000
    )


def test_offline_a_model_that_was_not_downloaded_is_not_asked_for(
    session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    shared = session()
    refusal("hf://org/model", shared, "remote-offline")
    assert shared.requests == 0
