"""Real servers on loopback: one that answers ranges, and a small hub with a storage host of its own.

Both count what they are asked, and can be told to fail.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

__all__ = ["COMMIT", "Asked", "Hub", "Hubs", "Site", "Threaded", "ranged"]

COMMIT = "c0ffee" + "0" * 34
SECRET = "hf_secret"
Answer = web.StreamResponse | None
Fault = Callable[[web.Request, int], Awaitable[Answer]]


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def range(self) -> tuple[int, int] | None:
        """First and last byte."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        return None if found is None else (int(found[1]), int(found[2]))


class Threaded:
    """Apps on one event loop on a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runners: list[web.AppRunner] = []

    def serve(
        self,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        tls: ssl.SSLContext | None = None,
    ) -> str:
        """The address of a new server, ``http://127.0.0.1:port``."""
        return asyncio.run_coroutine_threadsafe(self._serve(handler, tls), self._loop).result()

    async def _serve(
        self,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        tls: ssl.SSLContext | None,
    ) -> str:
        app = web.Application(client_max_size=1024)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self._runners.append(runner)
        return f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"

    def close(self) -> None:
        """Stop all."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def ranged(request: web.Request, data: bytes, etag: str | None, **more: str) -> web.Response:
    """What a good server answers to a GET or HEAD, with or without a range."""
    headers = {"Accept-Ranges": "bytes", **more} | ({"ETag": etag} if etag else {})
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    kind = "application/octet-stream"
    if found is None:
        return web.Response(body=data, headers=headers, content_type=kind)
    first, last = int(found[1]), min(int(found[2]), len(data) - 1)
    if first >= len(data):
        headers["Content-Range"] = f"bytes */{len(data)}"
        return web.Response(status=416, headers=headers, content_type=kind)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return web.Response(status=206, body=data[first : last + 1], headers=headers, content_type=kind)


@dataclass
class Site:
    """A web server of files by path. ``fault`` may answer instead; it hears the number of the request."""

    threaded: Threaded
    files: dict[str, bytes] = field(default_factory=dict)
    etags: bool = True
    latency: float = 0.0
    fault: Fault | None = None
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self.address = self.threaded.serve(self._handle)

    @property
    def gets(self) -> list[Asked]:
        """Requests for bytes."""
        return [a for a in self.asked if a.method == "GET"]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.path)
        self.asked.append(Asked(request.method, path, dict(request.headers)))
        number = len(self.asked)
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            await asyncio.sleep(self.latency)
            answer = None if self.fault is None else await self.fault(request, number)
            return answer or self.answer(request, path)
        finally:
            self.in_flight -= 1

    def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        """Without faults."""
        data = self.files.get(path)
        if data is None:
            return web.Response(status=404, text="nothing here")
        etag = f'"{hashlib.md5(data).hexdigest()}"' if self.etags else None
        return ranged(request, data, etag)


@dataclass
class Hub(Site):
    """One repository at one commit; weights are kept on the host ``storage``."""

    private: bool = False
    gated: bool = False
    sizes_in_info: bool = True
    signature: int = 1
    repository: str = "org/model"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.storage = Site(self.threaded, fault=self._signed)

    def _is_lfs(self, name: str) -> bool:
        return name.endswith((".safetensors", ".gguf"))

    async def _signed(self, request: web.Request, number: int) -> Answer:
        valid = request.query.get("sig") == str(self.signature)
        return None if valid else web.Response(status=403, text="expired")

    def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        """As the hub does."""
        if (self.private or self.gated) and request.headers.get("Authorization") != f"Bearer {SECRET}":
            if self.private:
                return web.Response(
                    status=401, headers={"X-Error-Message": "Invalid username or password."}
                )
            return web.Response(
                status=403, headers={"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}
            )
        if path in (
            f"/api/models/{self.repository}",
            *(f"/api/models/{self.repository}/revision/{r}" for r in self._known()),
        ):
            return self._info(request)
        if path == f"/api/models/{self.repository}/tree/{COMMIT}":
            return web.json_response([self._entry(n, "path") for n in self.files])
        found = re.fullmatch(rf"/{re.escape(self.repository)}/resolve/([^/]+)/(.+)", path)
        if found is not None and found[1] in self._known() and found[2] in self.files:
            return self._resolve(request, found[2])
        code = "EntryNotFound" if found else "RevisionNotFound" if "revision" in path else "RepoNotFound"
        return web.Response(status=404, headers={"X-Error-Code": code, "X-Error-Message": code})

    def _known(self) -> tuple[str, ...]:
        return ("main", COMMIT, "refs/pr/7")

    def _entry(self, name: str, key: str) -> dict[str, Any]:
        data = self.files[name]
        entry: dict[str, Any] = {key: name, "type": "file", "size": len(data), "oid": "0" * 40}
        if self._is_lfs(name):
            digest = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"oid": digest, "sha256": digest, "size": len(data), "pointerSize": 134}
        return entry

    def _info(self, request: web.Request) -> web.StreamResponse:
        told = self.sizes_in_info and "blobs" in request.query
        siblings = [self._entry(n, "rfilename") if told else {"rfilename": n} for n in self.files]
        return web.json_response({"id": self.repository, "sha": COMMIT, "siblings": siblings})

    def _resolve(self, request: web.Request, name: str) -> web.StreamResponse:
        data = self.files[name]
        headers = {"X-Repo-Commit": COMMIT}
        if not self._is_lfs(name):
            return ranged(request, data, f'"{hashlib.sha1(data).hexdigest()}"', **headers)
        digest = hashlib.sha256(data).hexdigest()
        self.storage.files[f"/blobs/{digest}"] = data
        headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{digest}"'}
        headers["Location"] = f"{self.storage.address}/blobs/{digest}?sig={self.signature}"
        return web.Response(status=302, headers=headers, text="Found. Redirecting")

    def add(self, files: dict[str, bytes]) -> None:
        """Files of the repository."""
        self.files |= files


@dataclass
class Hubs(Site):
    """Several repositories at one address."""

    repositories: dict[str, Hub] = field(default_factory=dict)

    def add(self, repository: str, files: dict[str, bytes]) -> None:
        """One more."""
        self.repositories[repository] = Hub(self.threaded, files, repository=repository)

    def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        """As the hub of the repository that the path names."""
        found = re.match(r"/(?:api/models/)?([^/]+/[^/]+)(?:/|$)", path)
        hub = self.repositories.get(found[1]) if found else None
        if hub is None:
            return web.Response(status=404, headers={"X-Error-Code": "RepoNotFound"})
        return hub.answer(request, path)


def index_of(shards: dict[str, str]) -> bytes:
    """An index file."""
    return json.dumps({"metadata": {}, "weight_map": shards}).encode()
