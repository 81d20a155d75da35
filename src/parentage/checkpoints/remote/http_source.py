"""One file at an address, read by range: where it lies is asked once, every answer is checked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.http_client import (
    MAX_REDIRECTS,
    HttpClient,
    is_web_page,
    next_address,
    origin_of,
    refuse_status,
)
from parentage.checkpoints.remote.remote_errors import (
    Transient,
    changed,
    not_ranges,
    public_address,
    range_wrong,
    redirect_refused,
    truncated,
    web_page,
)
from parentage.checkpoints.remote.retries import persist

if TYPE_CHECKING:
    from aiohttp import ClientResponse

__all__ = ["HttpSource"]

CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
NO_RANGE = re.compile(r"bytes \*/(\d{1,19})", re.ASCII)
# What a signed address answers once it has expired (S3 and CloudFront 403, GCS 400), or its host moved.
EXPIRED = (400, 401, 403, 404, 410)


class _Expired(Exception):
    """The location no longer answers: ask the origin again."""


class _Attempts:
    """One range's requests. The caller reserved one request and ``count`` bytes; more is reserved here."""

    def __init__(self, meter: Meter, where: str) -> None:
        self._meter, self._where = meter, where
        self._sent = 0
        self._wasted = 0

    def begin(self) -> None:
        if self._sent or self._wasted:
            self._meter.reserve(self._wasted, 1, self._where)
        self._sent, self._wasted = self._sent + 1, 0

    def received(self, nbytes: int) -> None:
        self._meter.received(nbytes)
        self._wasted += nbytes


class HttpSource:
    """See ``RangeSource``. With ``pinned`` (a commit's file) the address itself fixes the bytes, and stores
    behind it may differ in their ETags; else one ETag holds for all answers."""

    def __init__(
        self,
        client: HttpClient,
        meter: Meter,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        size: int | None = None,
        pinned: str | None = None,
    ) -> None:
        self.where = public_address(url)
        self._client, self._meter = client, meter
        self._origin, self._headers = url, dict(headers or {})
        self._size, self._pinned = size, pinned
        self._location: str | None = None
        self._lock = asyncio.Lock()
        self._version: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes; ``None`` until the first answer, unless a listing told."""
        return self._size

    @property
    def key(self) -> str | None:
        """Names the very bytes: by commit, or by address and strong ETag; ``None`` when nothing does."""
        if self._pinned is not None:
            return self._pinned
        strong = self._version is not None and self._version.startswith('"')
        return f"{self.where} {self._version} {self._size}" if strong else None

    @property
    def versioned(self) -> bool:
        """A change of the file between two requests would be seen."""
        return self._pinned is not None or self._version is not None

    async def fetch(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``: fewer only while the size is unknown. Raises ``ReadError``."""
        attempts = _Attempts(self._meter, self.where)

        async def attempt() -> bytes:
            return await self._once(offset, count, attempts)

        return await persist(self._client.retries, f"{self.where}@{offset}", attempt)

    async def _once(self, offset: int, count: int, attempts: _Attempts) -> bytes:
        for last in (False, True):
            try:
                if self._location is None:
                    async with self._lock:  # one asks, the others wait for its answer
                        if self._location is None:
                            return await self._follow(self._origin, offset, count, attempts, True)
                return await self._follow(self._location, offset, count, attempts, last)
            except _Expired:
                continue
        raise AssertionError("the second answer of an origin stands")

    async def _follow(self, url: str, offset: int, count: int, attempts: _Attempts, last: bool) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            headers = {"Range": f"bytes={offset}-{offset + count - 1}"}
            if origin_of(url) == origin_of(self._origin):
                headers |= self._headers
            attempts.begin()
            self._meter.sent()
            async with self._client.exchange("GET", url, headers, self.where, count) as response:
                following = await next_address(response, url, self.where, self._meter)
                if following is not None and url == self._origin:
                    self._meter.resolved()
                if following is None:
                    if response.status in EXPIRED and url != self._origin and not last:
                        self._forget(url)
                        raise _Expired
                    return await self._answer(response, url, offset, count, attempts)
            url = following
        raise redirect_refused(f"more than {MAX_REDIRECTS} redirects", self.where)

    def _forget(self, url: str) -> None:
        if self._location == url:
            self._location = None
            if self._pinned is not None:
                self._version = None

    async def _answer(
        self, response: ClientResponse, url: str, offset: int, count: int, attempts: _Attempts
    ) -> bytes:
        if response.status == 416 and self._is_empty(response, offset):
            return b""
        refuse_status(self._client, response, url, self.where)
        try:
            if is_web_page(response):
                raise web_page(self.where)
            if response.status != 206:
                raise not_ranges(self.where)
            wanted = self._checked_range(response, offset, count)
            self._check_version(response)
        except BaseException:
            response.close()  # the body is not downloaded
            raise
        self._location = url
        return await self._read(response, wanted, attempts)

    def _is_empty(self, response: ClientResponse, offset: int) -> bool:
        said = NO_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if self._size is None and offset == 0 and said is not None and int(said[1]) == 0:
            self._size = 0
            return True
        return False

    def _checked_range(self, response: ClientResponse, offset: int, count: int) -> int:
        """Number of bytes that the answer holds."""
        given = response.headers.get("Content-Range", "")
        found = CONTENT_RANGE.fullmatch(given.strip())
        if found is None:
            raise range_wrong("the answer does not say which range it holds", self.where)
        total = None if found[3] == "*" else int(found[3])
        if self._size is None:
            if total is None:
                raise range_wrong("the server does not tell the file's size", self.where)
            self._size = total
        elif total not in (None, self._size):
            raise changed(f"{total:,} bytes, not {self._size:,}", self.where)
        end = min(offset + count, self._size)
        if (int(found[1]), int(found[2])) != (offset, end - 1):
            message = f"bytes {found[1]} to {found[2]} came, not {offset} to {end - 1}"
            raise range_wrong(message, self.where)
        if response.content_length not in (None, end - offset):
            message = f"Content-Length says {response.content_length:,} bytes of {end - offset:,}"
            raise range_wrong(message, self.where)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise range_wrong("the answer is compressed", self.where)
        return end - offset

    def _check_version(self, response: ClientResponse) -> None:
        """Weak comparison (RFC 9110 §8.8.3.2); the date of the last change where there is no ETag."""
        if self._pinned is not None and self._location is None:
            self._version = None
        given = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if self._version is None:
            self._version = given
        elif given is None or given.removeprefix("W/") != self._version.removeprefix("W/"):
            raise changed(f"version {given}, not {self._version}", self.where)

    async def _read(self, response: ClientResponse, wanted: int, attempts: _Attempts) -> bytes:
        import aiohttp

        found = bytearray()
        try:
            async for chunk in response.content.iter_any():
                attempts.received(len(chunk))
                found += chunk
                if len(found) > wanted:
                    response.close()
                    raise range_wrong(f"more than {wanted:,} bytes came", self.where)
        except aiohttp.ClientPayloadError:
            raise Transient(truncated(len(found), wanted, self.where)) from None
        if len(found) < wanted:
            raise Transient(truncated(len(found), wanted, self.where))
        return bytes(found)
