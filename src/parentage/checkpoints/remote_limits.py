"""What an audit may cost over a network, and where slices are kept; opens nothing by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.checkpoints.locators import PlaceKind, place_kind

if TYPE_CHECKING:
    from parentage.checkpoints.remote_session import RemoteSession

__all__ = ["MEMORY_BYTES", "RemoteLimits", "SharedSession"]

# Slices held for all models together; what exceeds it lies in the cache folder, or is fetched again.
MEMORY_BYTES = 256 * 2**20


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
    """

    def __init__(
        self,
        stack: ExitStack,
        limits: RemoteLimits | None = None,
        heard: Callable[[int], None] | None = None,
    ) -> None:
        self.limits = limits or RemoteLimits()
        self.heard = heard
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
    def spent(self) -> tuple[int, int]:
        """Bytes received and requests sent so far."""
        return (0, 0) if self._session is None else (self._session.bytes_read, self._session.requests)

    def _made(self) -> RemoteSession:
        from parentage.checkpoints.remote_session import RemoteSession

        limits, folder = self.limits, self.limits.cache_folder
        if folder is None and (limits.budget_bytes or 0) > MEMORY_BYTES // 2:
            # What memory cannot hold would be fetched, and paid for, a second time.
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="parentage-")))
        session = RemoteSession(
            budget_bytes=limits.budget_bytes,
            budget_requests=limits.budget_requests,
            cache_folder=folder,
            memory_bytes=MEMORY_BYTES,
            progress=lambda counters: self._tell(counters.bytes_read),
        )
        self._stack.callback(session.close)
        return session

    def _tell(self, nbytes: int) -> None:
        if self.heard is not None:
            self.heard(nbytes)
