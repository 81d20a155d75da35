"""A model in an object store, through ``obstore``; credentials are those of the environment."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from parentage.checkpoints.local_files import is_side_file
from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.http_client import SLOWEST, TRANSIENT
from parentage.checkpoints.remote.remote_choice import MAX_JSON, Choice, choose, is_weight_file, safe_name
from parentage.checkpoints.remote.remote_errors import (
    Transient,
    at_opening,
    bad_locator,
    changed,
    connection_failed,
    not_installed,
    not_ranges,
    status_failed,
    too_large,
    truncated,
)
from parentage.checkpoints.remote.remote_folder import Listing, RemoteFolder
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.checkpoints.remote.retries import RetryPolicy, persist
from parentage.errors import ReadError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["open_object_store"]

T = TypeVar("T")
LISTING = 60.0
"""Seconds."""
STATUS = re.compile(r"status code: (\d{3})\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Object:
    size: int
    etag: str | None


class ObjectSource:
    """See ``RangeSource``: one object, pinned by its ETag."""

    def __init__(
        self, store: ObjectStore, name: str, entry: _Object, where: str, meter: Meter, retries: RetryPolicy
    ) -> None:
        self._store, self._name, self._entry = store, name, entry
        self.where, self._meter, self._retries = where, meter, retries
        self.size: int | None = entry.size

    @property
    def key(self) -> str | None:
        """By address, ETag and size."""
        etag = self._entry.etag
        return None if etag is None else f"{self.where} {etag} {self._entry.size}"

    @property
    def versioned(self) -> bool:
        """Whether the store told an ETag."""
        return self._entry.etag is not None

    async def fetch(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``."""
        sent = 0
        allowed = 2 * self._retries.timeout + count / SLOWEST

        async def attempt() -> bytes:
            nonlocal sent
            if sent:
                self._meter.reserve(0, 1, self.where)
            sent += 1
            return await _asked(lambda: self._once(offset, count), self.where, allowed)

        return await persist(self._retries, f"{self.where}@{offset}", attempt)

    async def _once(self, offset: int, count: int) -> bytes:
        options: Any = {"range": (offset, offset + count)}
        if self._entry.etag is not None:
            options["if_match"] = self._entry.etag
        self._meter.sent()
        found = await self._store.get_async(self._name, options=options)
        if tuple(found.range) != (offset, offset + count):
            raise not_ranges(self.where)
        self._check(found.meta)
        data = bytes(await found.bytes_async())
        self._meter.received(len(data))
        if len(data) != count:
            raise Transient(truncated(len(data), count, self.where))
        return data

    def _check(self, meta: Mapping[str, Any]) -> None:
        if meta["size"] != self._entry.size:
            raise changed(f"{meta['size']:,} bytes, not {self._entry.size:,}", self.where)
        if self._entry.etag is not None and meta["e_tag"] != self._entry.etag:
            raise changed(f"version {meta['e_tag']}, not {self._entry.etag}", self.where)


async def _asked(work: Callable[[], Awaitable[T]], where: str, seconds: float) -> T:
    """The store's failures as ours."""
    from obstore import exceptions

    try:
        async with asyncio.timeout(seconds):
            return await work()
    except (FileNotFoundError, exceptions.NotFoundError):
        raise status_failed(404, where) from None
    except exceptions.PermissionDeniedError:
        raise status_failed(403, where) from None
    except exceptions.UnauthenticatedError:
        raise status_failed(401, where) from None
    except exceptions.PreconditionError:
        raise changed("its ETag is another one", where) from None
    except TimeoutError:
        raise Transient(connection_failed("timeout", where, timed_out=True)) from None
    except (exceptions.GenericError, OSError) as error:
        raise _failed(str(error), where) from None
    except exceptions.BaseError as error:
        raise connection_failed(type(error).__name__, where, timed_out=False) from None


def _failed(text: str, where: str) -> Exception:
    """obstore says most failures in words only; the words may hold keys and are not shown."""
    said = STATUS.search(text)
    if said is None:
        failure = connection_failed("the store's client", where, timed_out="timed out" in text)
        return Transient(failure)
    error = status_failed(int(said[1]), where)
    return Transient(error) if int(said[1]) in TRANSIENT else error


class _Bucket:
    """A folder of a bucket, and one object in it when the locator names one."""

    def __init__(self, locator: str, session: RemoteSession, meter: Meter) -> None:
        parts = urlsplit(locator)
        path = parts.path.strip("/")
        if not parts.netloc or "@" in parts.netloc or parts.query or (path and not safe_name(path)):
            raise bad_locator("a bucket and a path in it are needed", locator)
        folder, _, name = path.rpartition("/")
        self.named = name if is_weight_file(name) else ""
        prefix = folder if self.named else path
        self.where = f"{parts.scheme}://{parts.netloc}" + (f"/{prefix}" if prefix else "")
        self.session, self.meter = session, meter
        self.store = _store(self.where, session.retries)
        self.entries = session.run(self._list())

    async def _list(self) -> dict[str, _Object]:
        async def attempt() -> dict[str, _Object]:
            self.meter.reserve(0, 1, self.where)
            self.meter.sent()
            found = await _asked(self.store.list_with_delimiter_async, self.where, LISTING)
            return {o["path"]: _Object(o["size"], o["e_tag"]) for o in found["objects"]}

        return await persist(self.session.retries, self.where, attempt)

    def source(self, name: str) -> ObjectSource:
        """Its bytes by range."""
        if name not in self.entries:
            raise status_failed(404, f"{self.where}/{name}")
        where = f"{self.where}/{name}"
        return ObjectSource(self.store, name, self.entries[name], where, self.meter, self.session.retries)

    def read(self, name: str, limit: int, *, cut: bool) -> bytes:
        """A small object, or its beginning."""
        source = self.source(name)
        count = min(self.entries[name].size, limit)
        if self.entries[name].size > limit and not cut:
            raise too_large(limit, source.where)
        if not count:
            return b""
        self.meter.reserve(count, 1, source.where)
        return self.session.run(source.fetch(0, count))


def _store(where: str, retries: RetryPolicy) -> ObjectStore:
    try:
        from obstore import exceptions
        from obstore.store import from_url
    except ImportError:
        raise not_installed("object-store", where) from None
    from datetime import timedelta

    try:
        # Repeating is ours: a repeat counts in the budget. Options of the client are left alone, because
        # giving one makes obstore forget those of the environment.
        return from_url(where, retry_config={"max_retries": 0, "retry_timeout": timedelta(0)})
    except (exceptions.BaseError, ValueError) as error:
        raise bad_locator(f"the store cannot be opened ({type(error).__name__})", where) from None


def open_object_store(locator: str, session: RemoteSession, *, owned: bool = False) -> RemoteFolder:
    """Open a folder of a bucket, or one object."""
    meter = session.meter()
    try:
        bucket = _Bucket(locator, session, meter)
        names = [n for n in bucket.entries if safe_name(n)]
        choice = (
            Choice((bucket.named,))
            if bucket.named
            else choose(names, lambda n: bucket.read(n, MAX_JSON, cut=False), bucket.where)
        )
        sources = {n: bucket.source(n) for n in choice.files}
    except ReadError as error:
        raise at_opening(error) from None
    listing = Listing(
        locator=locator,
        where=bucket.where,
        revision=None,
        choice=choice,
        sources=sources,
        side_files={n: bucket.entries[n].size for n in sorted(names) if is_side_file(n)},
        read_side_file=lambda n, limit: bucket.read(n, limit, cut=True),
        beside=lambda n: (bucket.source(n), b"", None),
    )
    return RemoteFolder(listing, session, meter, owned=owned)
