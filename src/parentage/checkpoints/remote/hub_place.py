"""A model on a hub: its revision is resolved to a commit once, its files come from that commit.

Endpoint, token, cache and offline mode are those of ``huggingface_hub``; requests are our own, so that they
are bounded, counted and repeated like all others. One request lists all files with sizes and digests.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from parentage.checkpoints.byte_files import Folder
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.local_files import LocalFolder, is_side_file
from parentage.checkpoints.locators import HubModel, hub_model
from parentage.checkpoints.remote.background import RangeSource
from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.http_source import HttpSource
from parentage.checkpoints.remote.remote_choice import MAX_JSON, Choice, choose, is_weight_file, safe_name
from parentage.checkpoints.remote.remote_errors import absent_listing, at_opening, offline, status_failed
from parentage.checkpoints.remote.remote_folder import Beside, Listing, RemoteFolder
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import ReadError

__all__ = ["HubEntry", "hub_files", "open_hub"]

COMMIT = re.compile(r"[0-9a-f]{40,64}", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
MAX_SIZE = 2**50


@dataclass(frozen=True, slots=True)
class HubEntry:
    """A file as the hub lists it; ``object_id``: git's, ``sha256``: of files in large storage."""

    size: int
    sha256: str | None
    object_id: str | None = None


class _Repository:
    """One commit of a repository."""

    def __init__(self, model: HubModel, session: RemoteSession, meter: Meter) -> None:
        from huggingface_hub import constants
        from huggingface_hub.utils._headers import build_hf_headers

        self._session, self._meter = session, meter
        self._model = model
        self.endpoint = (session.hub_endpoint or constants.ENDPOINT).rstrip("/")
        sent = build_hf_headers(token=session.hub_token)
        self.headers = {k: v for k, v in sent.items() if k.lower() == "authorization"}
        self.where = f"{self.endpoint}/{model.repository}"
        table = self._ask()
        self.commit = _commit(table, self.where)
        self.entries = self._entries(table)

    def _ask(self) -> dict[str, Any]:
        url = f"{self.endpoint}/api/models/{self._model.repository}"
        if self._model.revision is not None:
            url += f"/revision/{quote(self._model.revision, safe='')}"
        raw = self._session.run(
            self._session.client.body(f"{url}?blobs=true", self.headers, self._meter, MAX_JSON)
        )
        try:
            table = json.loads(raw)
        except (ValueError, RecursionError):
            raise absent_listing("the hub's answer is not JSON", self.where) from None
        if not isinstance(table, dict):
            raise absent_listing("the hub's answer is no table", self.where)
        return table

    def _entries(self, table: dict[str, Any]) -> dict[str, HubEntry]:
        siblings = table.get("siblings")
        found = _from_siblings(siblings) if isinstance(siblings, list) else None
        return self._tree() if found is None else found

    def _tree(self) -> dict[str, HubEntry]:
        """The listing of a hub whose model information lacks sizes."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.hf_api import RepoFile

        self._meter.reserve(0, 1, self.where)
        self._meter.sent()
        api = HfApi(endpoint=self.endpoint, token=self._session.hub_token)
        try:
            tree = list(api.list_repo_tree(self._model.repository, recursive=True, revision=self.commit))
        except HfHubHTTPError as error:
            raise status_failed(error.response.status_code, self.where) from None
        return {
            item.path: HubEntry(item.size, None if item.lfs is None else _sha256(item.lfs.sha256))
            for item in tree
            if isinstance(item, RepoFile)
        }

    def address(self, name: str) -> str:
        """Where the hub tells where a file lies."""
        return f"{self.where}/resolve/{self.commit}/{quote(name)}"

    def key(self, name: str) -> str:
        """Names the bytes of a file."""
        return f"{self.where}@{self.commit}/{name} {self.entries[name].size}"

    def source(self, name: str) -> RangeSource:
        """Its bytes by range."""
        return HttpSource(
            self._session.client,
            self._meter,
            self.address(name),
            headers=self.headers,
            size=self.entries[name].size,
            pinned=self.key(name),
        )

    def beside(self, name: str) -> Beside:
        """A file that a weight file names; ``remote-absent`` where the commit does not hold it."""
        if name not in self.entries:
            raise status_failed(404, f"{self.where}/{shown(name)}", "no such file in this revision")
        return self.source(name), b"", self.entries[name].sha256

    def read(self, name: str, limit: int, *, cut: bool) -> bytes:
        """A small file."""
        size = self.entries[name].size
        whole = size <= limit
        known = self._session.cached_body(self.key(name), size) if whole else None
        if known is not None:
            return known
        work = self._session.client.body(self.address(name), self.headers, self._meter, limit, cut=cut)
        found = self._session.run(work)
        if whole and len(found) == size:
            self._session.keep_body(self.key(name), found)
        return found

    def downloaded(self, name: str) -> Path | None:
        """The file in huggingface_hub's own cache."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self._model.repository, name, revision=self.commit)
        if not isinstance(found, str):
            return None
        path = Path(found)
        return path if path.is_file() and path.stat().st_size == self.entries[name].size else None


def open_hub(locator: str, session: RemoteSession, *, owned: bool = False) -> Folder:
    """Open a repository, or a file or folder in it."""
    from huggingface_hub import is_offline_mode

    model = hub_model(locator)
    if is_offline_mode() and session.hub_endpoint is None:
        return _from_cache(locator, model)
    meter = session.meter()
    try:
        repository = _Repository(model, session, meter)
        listing = _listing(locator, model, repository)
    except ReadError as error:
        raise at_opening(error) from None
    return RemoteFolder(listing, session, meter, owned=owned)


def hub_files(locator: str, session: RemoteSession, meter: Meter) -> tuple[str, dict[str, HubEntry]]:
    """The commit that a locator names, and its files by name. Raises ``ReadError``."""
    repository = _Repository(hub_model(locator), session, meter)
    return repository.commit, repository.entries


def _listing(locator: str, model: HubModel, repository: _Repository) -> Listing:
    base, named = _base_of(model.path, repository)
    names = [n.removeprefix(base) for n in repository.entries if n.startswith(base) and safe_name(n)]
    choice = (
        Choice((named,))
        if named
        else choose(
            names,
            lambda n: repository.read(base + n, MAX_JSON, cut=False),
            repository.where + ("/" + base.rstrip("/") if base else ""),
        )
    )
    odd = sorted(n for n in repository.entries if not safe_name(n))
    oddities = (*choice.oddities, *(f"{shown(n)}: no name for a file; not read" for n in odd[:20]))
    downloaded = {n: path for n in choice.files if (path := repository.downloaded(base + n))}
    return Listing(
        locator=locator,
        where=repository.where,
        revision=repository.commit,
        choice=Choice(choice.files, choice.weight_map, oddities),
        sources={n: repository.source(base + n) for n in choice.files if n not in downloaded},
        side_files={
            n: repository.entries[base + n].size for n in sorted(names) if is_side_file(n) and "/" not in n
        },
        read_side_file=lambda n, limit: repository.read(base + n, limit, cut=True),
        beside=lambda n: repository.beside(base + n),
        published={n: digest for n in choice.files if (digest := repository.entries[base + n].sha256)},
        downloaded=downloaded,
    )


def _base_of(path: str, repository: _Repository) -> tuple[str, str]:
    """The folder with its slash, and the file in it when the locator names one."""
    if path in repository.entries and is_weight_file(path):
        folder, slash, name = path.rpartition("/")
        return folder + slash, name
    base = f"{path}/" if path else ""
    if base and not any(n.startswith(base) for n in repository.entries):
        raise status_failed(404, f"{repository.where}/{shown(path)}", "no such file in this revision")
    return base, ""


def _from_cache(locator: str, model: HubModel) -> LocalFolder:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = snapshot_download(model.repository, revision=model.revision, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        raise offline(locator) from None
    folder = LocalFolder(Path(found) / model.path if model.path else Path(found))
    folder.locator = locator
    return folder


def _commit(table: dict[str, Any], where: str) -> str:
    found = table.get("sha")
    if not isinstance(found, str) or COMMIT.fullmatch(found) is None:
        raise absent_listing("the hub does not tell the commit", where)
    return found


def _from_siblings(siblings: list[Any]) -> dict[str, HubEntry] | None:
    """``None`` when one lacks its size."""
    found = {}
    for item in siblings:
        if not isinstance(item, dict) or not isinstance(item.get("rfilename"), str):
            return None
        size, lfs = item.get("size"), item.get("lfs")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
            return None
        digest = _sha256(lfs.get("sha256")) if isinstance(lfs, dict) else None
        blob = item.get("blobId")
        own = blob if isinstance(blob, str) and COMMIT.fullmatch(blob) else None
        found[item["rfilename"]] = HubEntry(size, digest, own)
    return found


def _sha256(value: object) -> str | None:
    return value if isinstance(value, str) and SHA256.fullmatch(value) else None
