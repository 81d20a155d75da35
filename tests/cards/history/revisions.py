"""A hub on loopback with one repository of several commits: listed, described and served as of each."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.checkpoints.remote.servers import Site, ranged

__all__ = ["Revision", "Revisions"]


@dataclass(frozen=True)
class Revision:
    """A commit: its date (a day of June 2026) and all files as of it."""

    day: str
    files: dict[str, bytes]


@dataclass
class Revisions(Site):
    """``revisions``: oldest first; ``main`` is the newest. Weight files are kept in large storage."""

    revisions: list[Revision] = field(default_factory=list)
    repository: str = "org/m"
    published: bool = True

    def commit(self, number: int) -> str:
        """The id of a revision."""
        return f"{number + 1:x}" * 40

    def _at(self, name: str) -> int | None:
        ids = {self.commit(k): k for k in range(len(self.revisions))}
        return len(self.revisions) - 1 if name == "main" else ids.get(name)

    def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        """As the hub does."""
        api = f"/api/models/{self.repository}"
        if path == f"{api}/commits/main":
            return web.json_response([self._listed(k) for k in reversed(range(len(self.revisions)))])
        found = re.fullmatch(rf"{api}(?:/revision/([^/]+))?", path)
        if found is not None and (at := self._at(found[1] or "main")) is not None:
            return web.json_response(self._info(at))
        found = re.fullmatch(rf"/{self.repository}/resolve/([^/]+)/(.+)", path)
        at = None if found is None else self._at(found[1])
        if found is not None and at is not None and found[2] in self.revisions[at].files:
            data = self.revisions[at].files[found[2]]
            headers = {"X-Repo-Commit": self.commit(at)}
            return ranged(request, data, f'"{hashlib.sha1(data).hexdigest()}"', **headers)
        return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})

    def _listed(self, number: int) -> dict[str, Any]:
        when = f"2026-06-{self.revisions[number].day}T00:00:00.000Z"
        return {"id": self.commit(number), "date": when, "title": "", "message": "", "authors": []}

    def _info(self, number: int) -> dict[str, Any]:
        files = self.revisions[number].files
        siblings = [self._entry(name, data) for name, data in files.items()]
        return {"id": self.repository, "sha": self.commit(number), "siblings": siblings}

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"rfilename": name, "size": len(data)}
        entry["blobId"] = hashlib.sha1(data).hexdigest()
        if name.endswith(".safetensors") and self.published:
            entry["lfs"] = {
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "pointerSize": 134,
            }
        return entry
