"""The hub as an HTTP server: listings and locations on one port, ranges of files on another, as on a CDN.

What ``huggingface_hub`` asks is answered: model information, tree, HEAD of a file with its commit, size,
ETag and a location on the other host, small files themselves, ranges of large ones. A model's LFS digest is
the SHA-256 of its description, not of its bytes: nobody reads 807 GB to learn it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote

from aiohttp import web

from .architecture import Architecture
from .files import File, Model, Shard, files_of
from .weights import MODELS, data_of

__all__ = ["OWNER", "Conditions", "VirtualHub", "card_of"]

OWNER = "rehearsal"
# What one request may ask for is held in memory while it is answered.
LARGEST_ANSWER = 64 * 2**20
FAILURES = ("500", "503", "429", "reset")
RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})", re.ASCII)
_CARDS = {
    "base": "license: apache-2.0",
    "merged": f"base_model:\n- {OWNER}/base\nbase_model_relation: finetune",
    "trained": f"base_model:\n- {OWNER}/base\nbase_model_relation: finetune",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """``latency``: seconds before an answer begins; ``failing``: share of range requests that fail."""

    latency: float = 0.0
    failing: float = 0.0
    seed: int = 0


@dataclass
class VirtualHub:
    """Models of one architecture. ``counts``: answers by kind, and the bytes of their bodies."""

    size: Architecture
    conditions: Conditions
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._models = {name: files_of(self.size, card_of(name)) for name in MODELS}
        self._chance = random.Random(self.conditions.seed)
        self._storage = ""
        self._runners: list[web.AppRunner] = []

    async def start(self, port: int = 0) -> str:
        """Serve on loopback; the address of the hub."""
        self._storage = await self._listen(self._store, 0)
        return await self._listen(self._hub, port)

    async def _listen(self, handler: web.Handler, port: int) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close both."""
        for runner in self._runners:
            await runner.cleanup()

    async def _hub(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.conditions.latency)
        if request.path == "/counts":
            return web.json_response(dict(self.counts))
        parts = request.match_info["path"].split("/")
        if parts[:2] == ["api", "models"]:
            return self._about(parts[2:])
        if len(parts) < 5 or parts[2] != "resolve":
            raise web.HTTPNotFound
        name = self._named(parts[:2], parts[3])
        return self._resolve(request, name, "/".join(parts[4:]))

    def _named(self, repository: list[str], revision: str) -> str:
        owner, name = repository
        if owner != OWNER or name not in self._models or revision not in ("main", commit_of(name)):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        return name

    def _about(self, parts: list[str]) -> web.Response:
        self.counts["listings"] += 1
        kind, revision = (*parts[2:4], "main", "main")[:2] if len(parts) > 3 else ("revision", "main")
        name = self._named(parts[:2], revision)
        model = self._models[name]
        if kind == "tree":
            return web.json_response([_entry(name, f) for f in _all(model)])
        table = {
            "_id": commit_of(name)[:24],
            "id": f"{OWNER}/{name}",
            "sha": commit_of(name),
            "lastModified": "2026-06-01T00:00:00.000Z",
            "private": False,
            "tags": [],
            "siblings": [_sibling(name, f) for f in _all(model)],
        }
        return web.json_response(table)

    def _resolve(self, request: web.Request, name: str, path: str) -> web.Response:
        model = self._models[name]
        headers = {"X-Repo-Commit": commit_of(name), "Accept-Ranges": "bytes"}
        if path in model.side_files:
            self.counts["small files"] += 1
            data = model.side_files[path].data
            return web.Response(body=data, headers=headers | {"ETag": f'"{_blob(data)}"'})
        if path not in model.shards:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        self.counts["resolves"] += 1
        digest = digest_of(name, path)
        headers |= {
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(model.shards[path].size),
            "Location": f"{self._storage}/{name}/{quote(path)}?signed={digest[:16]}",
        }
        return web.Response(status=302, headers=headers)

    async def _store(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.conditions.latency)
        name, _, path = request.match_info["path"].partition("/")
        shard = self._models[name].shards.get(path) if name in self._models else None
        if shard is None or request.query.get("signed") != digest_of(name, path)[:16]:
            raise web.HTTPForbidden
        self.counts["ranges"] += 1
        if self._chance.random() < self.conditions.failing:
            return self._fail(request)
        return self._range(request, name, shard)

    def _fail(self, request: web.Request) -> web.Response:
        kind = self._chance.choice(FAILURES)
        self.counts[f"failed: {kind}"] += 1
        if kind == "reset" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=int(kind) if kind != "reset" else 500, text="planned to fail")

    def _range(self, request: web.Request, name: str, shard: Shard) -> web.Response:
        headers = {"ETag": f'"{digest_of(name, shard.name)}"', "Accept-Ranges": "bytes"}
        kind = "application/octet-stream"
        found = RANGE.fullmatch(request.headers.get("Range", f"bytes=0-{shard.size - 1}"))
        if found is None or int(found[1]) >= shard.size:
            headers["Content-Range"] = f"bytes */{shard.size}"
            return web.Response(status=416, headers=headers, content_type=kind)
        first = int(found[1])
        last = min(int(found[2] or shard.size - 1), shard.size - 1)
        if last - first >= LARGEST_ANSWER:
            return web.Response(status=413, text=f"more than {LARGEST_ANSWER:,} bytes at once")
        body = self.bytes_of(name, shard, first, last + 1)
        self.counts["bytes of ranges"] += len(body)
        headers["Content-Range"] = f"bytes {first}-{last}/{shard.size}"
        return web.Response(status=206, body=body, headers=headers, content_type=kind)

    def bytes_of(self, name: str, shard: Shard, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a weight file, computed."""
        return b"".join(
            part if isinstance(part, bytes) else data_of(name, part[0], self.size, part[1], part[2])
            for part in shard.parts(start, stop)
        )


def card_of(name: str) -> str:
    """The model card: it says nothing of the merge."""
    return f"---\n{_CARDS.get(name, f'base_model:{chr(10)}- {OWNER}/base')}\n---\n# {name}\n"


def commit_of(name: str) -> str:
    """40 hex digits."""
    return hashlib.sha256(f"commit of {name}".encode()).hexdigest()[:40]


def digest_of(name: str, path: str) -> str:
    """Stands for the SHA-256 of a file that nobody reads whole: that of its description."""
    return hashlib.sha256(f"{OWNER}/{name}@{commit_of(name)}/{path}".encode()).hexdigest()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _all(model: Model) -> list[Shard | File]:
    return [*model.side_files.values(), *model.shards.values()]


def _entry(name: str, file: Shard | File) -> dict[str, object]:
    if isinstance(file, File):
        return {"type": "file", "path": file.name, "size": len(file.data), "oid": _blob(file.data)}
    digest = digest_of(name, file.name)
    lfs = {"oid": digest, "size": file.size, "pointerSize": 136}
    return {"type": "file", "path": file.name, "size": file.size, "oid": digest[:40], "lfs": lfs}


def _sibling(name: str, file: Shard | File) -> dict[str, object]:
    if isinstance(file, File):
        return {"rfilename": file.name, "size": len(file.data), "blobId": _blob(file.data)}
    digest = digest_of(name, file.name)
    lfs = {"sha256": digest, "size": file.size, "pointerSize": 136}
    return {"rfilename": file.name, "size": file.size, "blobId": digest[:40], "lfs": lfs}


def as_json(counts: Counter[str]) -> str:
    """The counts, for a log."""
    return json.dumps(dict(sorted(counts.items())))
