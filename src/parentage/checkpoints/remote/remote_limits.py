"""What an audit may cost over a network, and where slices are kept; opens nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.remote.budget import Counters

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["MEMORY_BYTES", "SAMPLE_MEMORY_BYTES", "RemoteLimits", "SharedSession"]

# Slices held for all models together; what exceeds it lies in the cache folder or an unnamed file.
MEMORY_BYTES = 256 * 2**20
# Where a sample is all that is read, each slice is small and is read two or three times, minutes apart.
SAMPLE_MEMORY_BYTES = 32 * 2**20
# Of the unnamed file: 65,536 elements of each tensor of three models of 3,000 are 1.2 GB.
SPILL_BYTES = 2 * 2**30


@dataclass(frozen=True, slots=True)
class RemoteLimits:
    """Most bytes and requests, and the folder that keeps slices for a run that goes on later."""

    budget_bytes: int | None = None
    budget_requests: int | None = None
    cache_folder: Path | None = None

    @property
    def bounded(self) -> bool:
        """Whether there is a budget."""
        return self.budget_bytes is not None or self.budget_requests is not None


class SharedSession:
    """The one session of all remote models of a command, made when the first of them is opened.

    It is closed by ``stack``. ``heard`` is told the bytes received so far, on the network's thread.
    ``sampled``: short slices are all that will be read.
    """

    def __init__(
        self,
        stack: ExitStack,
        limits: RemoteLimits | None = None,
        heard: Callable[[int], None] | None = None,
        *,
        sampled: bool = False,
    ) -> None:
        self.limits = limits or RemoteLimits()
        self.heard = heard
        self.sampled = sampled
        self._stack = stack
        self._session: RemoteSession | None = None

    def of(self, place: str) -> RemoteSession | None:
        """For a model at ``place``; None where it is local."""
        if place_kind(place) is PlaceKind.LOCAL:
            return None
        if self._session is None:
            self._session = self._made()
        return self._session

    @property
    def counters(self) -> Counters | None:
        """Bytes received, requests and resolves so far; None where nothing lies over a network."""
        return None if self._session is None else self._session.counters

    @property
    def spent(self) -> tuple[int, int]:
        """Bytes received and requests sent so far."""
        return (0, 0) if self._session is None else (self._session.bytes_read, self._session.requests)

    def _made(self) -> RemoteSession:
        from parentage.checkpoints.remote.remote_session import RemoteSession

        limits = self.limits
        session = RemoteSession(
            budget_bytes=limits.budget_bytes,
            budget_requests=limits.budget_requests,
            cache_folder=limits.cache_folder,
            memory_bytes=SAMPLE_MEMORY_BYTES if self.sampled else MEMORY_BYTES,
            # What memory cannot hold would be fetched, and paid for, a second time.
            spill_bytes=max(SPILL_BYTES, limits.budget_bytes or 0),
            progress=lambda counters: self._tell(counters.bytes_read),
        )
        self._stack.callback(session.close)
        return session

    def _tell(self, nbytes: int) -> None:
        if self.heard is not None:
            self.heard(nbytes)
