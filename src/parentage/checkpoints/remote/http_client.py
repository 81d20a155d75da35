"""Requests over one pool of connections; every failure becomes one of ours."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.remote_errors import (
    Transient,
    connection_failed,
    public_address,
    redirect_refused,
    status_failed,
    too_large,
    truncated,
    web_page,
)
from parentage.checkpoints.remote.retries import RetryPolicy, persist, rate_limit_reset, retry_after

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["MAX_REDIRECTS", "HttpClient", "is_web_page", "next_address", "origin_of", "refuse_status"]

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
TRANSIENT = (408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529)
# A small body is read so that its connection can be used again; a larger one is not worth it.
SMALL_BODY = 8192
# Slower than this for long, a transfer counts as timed out.
SLOWEST = 32 * 2**10


class HttpClient:
    """Lives on the loop's thread. A host that says ``Retry-After`` is left alone by all for so long."""

    def __init__(self, retries: RetryPolicy, concurrency: int) -> None:
        self.retries = retries
        self._concurrency = concurrency
        # Whoever waited for a connection looks again whether the host is to be left alone.
        self._slots = asyncio.Semaphore(concurrency)
        self._session: ClientSession | None = None
        self._not_before: dict[str, float] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}

    def _opened(self) -> ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "parentage", "Accept-Encoding": "identity"},
                auto_decompress=False,
            )
            # It would send a request again by itself when a kept connection breaks: uncounted, at once.
            self._session._retry_connection = False
        return self._session

    def _proxy_of(self, url: str) -> str | None:
        """The environment's proxy. aiohttp's own look costs a thread's turn a request, for .netrc, whose
        passwords are not wanted here."""
        parts = urlsplit(url)
        found = (parts.scheme, parts.netloc)
        if found not in self._proxies:
            direct = proxy_bypass(parts.hostname or "")
            self._proxies[found] = None if direct else getproxies().get(parts.scheme)
        return self._proxies[found]

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @contextlib.asynccontextmanager
    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], where: str, nbytes: int = 0
    ) -> AsyncIterator[ClientResponse]:
        """One request, redirects not followed; raises ``Transient`` for what may pass or ``ReadError``."""
        import aiohttp
        from yarl import URL

        host = urlsplit(url).netloc
        await self._wait_for(host)
        limits = aiohttp.ClientTimeout(
            total=2 * self.retries.timeout + nbytes / SLOWEST,
            sock_connect=self.retries.timeout,
            sock_read=self.retries.timeout,
        )
        try:
            # A signed address holds for these very characters.
            address = URL(url, encoded=True)
            async with self._slots:
                await self._wait_for(host)
                async with self._opened().request(
                    method,
                    address,
                    headers=headers,
                    allow_redirects=False,
                    timeout=limits,
                    proxy=self._proxy_of(url),
                ) as response:
                    yield response
        except TimeoutError:
            raise Transient(connection_failed("timeout", where, timed_out=True)) from None
        except (aiohttp.ClientConnectorCertificateError, ssl.SSLError) as error:
            raise connection_failed(type(error).__name__, where, timed_out=False) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise redirect_refused(f"no address ({type(error).__name__})", where) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Transient(connection_failed(type(error).__name__, where, timed_out=False)) from None

    async def _wait_for(self, host: str) -> None:
        while (wait := self._not_before.get(host, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def pause(self, url: str, seconds: float | None) -> None:
        """Send nothing to the address's host for so long, within the patience of the policy."""
        if seconds:
            moment = time.monotonic() + min(seconds, self.retries.patience)
            host = urlsplit(url).netloc
            self._not_before[host] = max(moment, self._not_before.get(host, 0.0))

    async def body(
        self, url: str, headers: Mapping[str, str], meter: Meter, limit: int, *, cut: bool = False
    ) -> bytes:
        """A small file whole, or its first ``limit`` bytes when ``cut``; raises ``read-too-large``."""
        where = public_address(url)

        async def attempt() -> bytes:
            return await self._body(url, headers, meter, limit, cut)

        return await persist(self.retries, where, attempt)

    async def _body(
        self, url: str, headers: Mapping[str, str], meter: Meter, limit: int, cut: bool
    ) -> bytes:
        where, origin = public_address(url), origin_of(url)
        for _ in range(MAX_REDIRECTS + 1):
            meter.reserve(0, 1, where)
            sent = headers if origin_of(url) == origin else {}
            meter.sent()
            async with self.exchange("GET", url, sent, where, limit) as response:
                following = await next_address(response, url, where, meter)
                if following is None:
                    refuse_status(self, response, url, where)
                    if is_web_page(response):
                        response.close()
                        raise web_page(where)
                    return await _read_body(response, meter, limit, cut, where)
            url = following
        raise redirect_refused(f"more than {MAX_REDIRECTS} redirects", where)

    async def size_of(self, url: str, headers: Mapping[str, str], meter: Meter) -> int | None:
        """Bytes of a file that is there, by HEAD, -1 when the server does not say how many; ``None`` for
        one that is not, or that cannot be told."""
        where, origin = public_address(url), origin_of(url)
        for _ in range(MAX_REDIRECTS + 1):
            meter.reserve(0, 1, where)
            sent = headers if origin_of(url) == origin else {}
            meter.sent()
            async with self.exchange("HEAD", url, sent, where) as response:
                following = await next_address(response, url, where, meter)
                if following is None:
                    there = response.status == 200 and not is_web_page(response)
                    length = response.content_length
                    return (-1 if length is None else length) if there else None
            url = following
        return None


async def _read_body(response: ClientResponse, meter: Meter, limit: int, cut: bool, where: str) -> bytes:
    import aiohttp

    announced = response.content_length
    if announced is not None and announced > limit and not cut:
        response.close()
        raise too_large(limit, where)
    if announced is not None:
        meter.reserve(min(announced, limit), 0, where)
    found = bytearray()
    try:
        async for chunk in response.content.iter_any():
            if announced is None:
                meter.reserve(len(chunk), 0, where)
            meter.received(len(chunk))
            found += chunk
            if len(found) > limit or (cut and len(found) == limit):
                response.close()
                break
    except aiohttp.ClientPayloadError:
        raise Transient(truncated(len(found), announced or limit, where)) from None
    if len(found) > limit and not cut:
        raise too_large(limit, where)
    return bytes(found[:limit])


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host with port: a token goes to the one that it was given for, and to no other."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def is_web_page(response: ClientResponse) -> bool:
    """By its content type."""
    return response.content_type in ("text/html", "application/xhtml+xml")


def refuse_status(client: HttpClient, response: ClientResponse, url: str, where: str) -> None:
    """Raise for all but 200 and 206."""
    if response.status in (200, 206):
        return
    detail = response.headers.get("X-Error-Message", "") or response.headers.get("X-Error-Code", "")
    error = status_failed(response.status, where, detail)
    response.close()
    if response.status in TRANSIENT:
        asked = retry_after(response.headers.get("Retry-After"))
        if asked is None and response.status == 429:
            asked = rate_limit_reset(response.headers.get("RateLimit"))
        client.pause(url, asked)
        raise Transient(error, asked)
    raise error


async def next_address(response: ClientResponse, url: str, where: str, meter: Meter) -> str | None:
    """Where a redirect leads; ``None`` when it is none. Raises ``read-redirect``."""
    if response.status not in REDIRECTS:
        return None
    target = response.headers.get("Location")
    if not target:
        raise redirect_refused("a redirect without an address", where)
    found = urljoin(url, target)
    scheme = urlsplit(found).scheme
    if scheme not in ("http", "https") or (urlsplit(url).scheme == "https" and scheme == "http"):
        raise redirect_refused(f"a redirect to {public_address(found)}", where)
    await _drain(response, meter, where)
    return found


async def _drain(response: ClientResponse, meter: Meter, where: str) -> None:
    import aiohttp

    length = response.content_length
    if length is None or length > SMALL_BODY:
        response.close()
        return
    meter.reserve(length, 0, where)
    with contextlib.suppress(aiohttp.ClientPayloadError):
        meter.received(len(await response.read()))
