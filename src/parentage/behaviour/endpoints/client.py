"""Requests to an endpoint: bounded in time, in bytes and in number, with the key in one header only.

Nothing that a server sends is trusted: bodies are read up to a bound, must be JSON objects, and the key is
taken out of every text that comes back, so that a server that echoes it does not put it into our files.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from parentage.checkpoints.remote.remote_errors import Transient
from parentage.checkpoints.remote.retries import RetryPolicy, persist, retry_after
from parentage.errors import EndpointError, UsageError

__all__ = ["Client", "Limits", "base_address"]

# The longest answers that are kept are 256 Ki characters; a body holds several texts and their tokens.
MAX_BODY = 8 * 2**20
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
KEY_SHOWN = "[key]"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one endpoint. ``timeout``: seconds for one whole answer; ``attempts`` of one request."""

    timeout: float = 120.0
    attempts: int = 5
    patience: float = 300.0
    concurrency: int = 4
    proxied: bool = True
    """Whether the environment's proxies are used."""


def base_address(url: str) -> str:
    """The address that paths are put after; ``/v1`` where none is given.

    Raises ``UsageError`` (``endpoint-address``): not http(s), no host, or a key in the address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise _bad_address(url, "it is no http(s) address of an API")
    if parts.username or parts.password:
        raise _bad_address(f"{parts.scheme}://{host}", "it holds a name or password")
    path = parts.path.rstrip("/")
    for ending in ("/chat/completions", "/completions", "/models"):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _bad_address(url: str, why: str) -> UsageError:
    return UsageError(
        f"the endpoint's address cannot be used: {why}",
        code="endpoint-address",
        where=url,
        hint="http://localhost:8080/v1; a key goes into the environment (--api-key-env)",
    )


class Client:
    """One endpoint's connections; to be used within one event loop."""

    def __init__(self, base: str, key: str | None, limits: Limits) -> None:
        self.base, self.limits = base, limits
        self.requests = 0
        self._key = key or None
        self._session: aiohttp.ClientSession | None = None
        self._policy = RetryPolicy(
            attempts=limits.attempts, patience=limits.patience, timeout=limits.timeout
        )

    async def get(self, path: str) -> dict[str, Any]:
        """A JSON object; raises ``EndpointError``."""
        return await self._sent("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A JSON object; raises ``EndpointError``."""
        return await self._sent("POST", path, body)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def clean(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, KEY_SHOWN) if self._key else text

    async def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        async def attempt() -> dict[str, Any]:
            return await self._once(method, path, body)

        return await persist(self._policy, f"{self.base}{path}", attempt)

    async def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        self.requests += 1
        try:
            async with self._opened().request(
                method, f"{self.base}{path}", json=body, allow_redirects=False
            ) as answer:
                data = await _bounded(answer)
                return self._parsed(answer, data)
        except TimeoutError:
            why = f"no whole answer within {self.limits.timeout:g} s"
            raise Transient(_failed(self, path, why, "endpoint-timeout")) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = f"the connection failed: {type(error).__name__}: {error}"
            raise Transient(_failed(self, path, why, "endpoint-unreachable")) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
            self._session = aiohttp.ClientSession(
                headers={"Accept": "application/json", **headers},
                timeout=aiohttp.ClientTimeout(total=self.limits.timeout, sock_connect=30),
                connector=aiohttp.TCPConnector(limit=self.limits.concurrency),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self.limits.proxied,
            )
        return self._session

    def _parsed(self, answer: aiohttp.ClientResponse, data: bytes | None) -> dict[str, Any]:
        path = str(answer.url.path)
        if answer.status in BUSY:
            error = _failed(self, path, f"status {answer.status} each time", "endpoint-busy")
            raise Transient(error, retry_after(answer.headers.get("Retry-After")))
        if answer.status in (401, 403):
            raise _failed(self, path, f"status {answer.status}: {self._said(data)}", "endpoint-refuses")
        if answer.status != 200:
            raise _failed(self, path, f"status {answer.status}: {self._said(data)}", "endpoint-cannot")
        if data is None:
            raise _failed(self, path, f"an answer of more than {MAX_BODY:,} bytes", "endpoint-too-large")
        try:
            # Parsed after the key is gone: no field of it can hold it.
            found = json.loads(self.clean(data.decode("utf-8")))
        except (ValueError, RecursionError):
            why = f"no JSON: {self._said(data)}"
            raise _failed(self, path, why, "endpoint-not-api") from None
        if not isinstance(found, dict):
            raise _failed(self, path, "JSON, but no object", "endpoint-not-api")
        return found

    def _said(self, data: bytes | None) -> str:
        text = "" if data is None else self.clean(data[:2_000].decode("utf-8", errors="replace"))
        return " ".join(text.split())[:160] or "nothing"


HINT = "check the address, the model's name and the server; a key is read from the environment"


def _failed(client: Client, path: str, why: str, code: str) -> EndpointError:
    where = f"{client.base}{path}" if not path.startswith(urlsplit(client.base).path) else path
    return EndpointError(client.clean(why), code=code, where=where, hint=HINT)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes | None:
    """The body, or ``None`` when it is longer than any answer may be."""
    parts, total = [], 0
    async for part in answer.content.iter_chunked(2**16):
        total += len(part)
        if total > MAX_BODY:
            return None
        parts.append(part)
        await asyncio.sleep(0)
    return b"".join(parts)
