"""When a request that failed is sent again: bounded in number and in time."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

from parentage.checkpoints.remote.remote_errors import Transient

__all__ = ["RetryPolicy", "persist", "rate_limit_reset", "retry_after"]

T = TypeVar("T")
RESET = re.compile(r";\s*t=(\d{1,9})\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds throughout.

    The wait before attempt k+1 is ``first`` · 2ᵏ⁻¹, at most ``longest``, times a jitter in [½, 1) that
    follows from the address and k, so that it is the same each time and differs between files. A server's
    ``Retry-After`` is a lower bound. After ``attempts``, or when the wait would pass ``patience`` in all,
    the last error stands.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 30.0
    patience: float = 360.0
    """The hub's rate limits are windows of 300 s."""
    timeout: float = 30.0
    """Without a byte from the server."""

    def wait(self, attempt: int, key: str, asked: float | None = None) -> float:
        """Seconds before the attempt after ``attempt`` (from 1)."""
        jitter = 0.5 + zlib.crc32(f"{key}#{attempt}".encode()) / 2**33
        own: float = min(self.first * 2.0 ** (attempt - 1), self.longest) * jitter
        return own if asked is None else max(own, asked)


def retry_after(value: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header (RFC 9110 §10.2.3: seconds or a date), never negative."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


def rate_limit_reset(value: str | None) -> float | None:
    """Seconds until the window of a ``RateLimit`` header ends (draft-ietf-httpapi-ratelimit-headers-09)."""
    found = None if value is None else RESET.search(value)
    return None if found is None else float(found[1])


async def persist(policy: RetryPolicy, key: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Call ``attempt`` until it does not raise ``Transient``; raises the last one's error."""
    started = time.monotonic()
    for number in range(1, policy.attempts + 1):
        try:
            return await attempt()
        except Transient as failure:
            wait = policy.wait(number, key, failure.retry_after)
            late = time.monotonic() - started + wait > policy.patience
            if number == policy.attempts or late:
                raise failure.error from None
        await asyncio.sleep(wait)
    raise AssertionError("a policy allows at least one attempt")
