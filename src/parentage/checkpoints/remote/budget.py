"""What reading over a network may cost, and what it has cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from parentage.checkpoints.remote.remote_errors import budget_spent

__all__ = ["Budget", "Counters", "Meter", "Tally"]


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes of bodies received, requests sent, and how many of these asked where a file lies."""

    bytes_read: int
    requests: int
    resolves: int


class Tally:
    """Counts; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = self._requests = self._resolves = 0

    def add(self, *, nbytes: int = 0, requests: int = 0, resolves: int = 0) -> None:
        """Count what happened."""
        with self._lock:
            self._bytes += nbytes
            self._requests += requests
            self._resolves += resolves

    @property
    def counters(self) -> Counters:
        """The counts as they are now."""
        with self._lock:
            return Counters(self._bytes, self._requests, self._resolves)


class Budget:
    """Limits that hold before a request is sent: what is planned counts as spent until it is done.

    A plan is refused whole, so that it does not stop half-way for want of its last request. Retries and
    redirects are asked for one by one.
    """

    def __init__(self, nbytes: int | None, requests: int | None) -> None:
        self._lock = threading.Lock()
        self._limits = (nbytes, requests)
        self._used = [0, 0]

    def reserve(self, nbytes: int, requests: int, where: str) -> None:
        """Set aside; raises ``ReadError`` (``budget-spent``) and sets nothing aside when it is too much."""
        with self._lock:
            asked = (nbytes, requests)
            for used, more, limit in zip(self._used, asked, self._limits, strict=True):
                if limit is not None and used + more > limit:
                    raise budget_spent(asked, (self._used[0], self._used[1]), self._limits, where)
            self._used[0] += nbytes
            self._used[1] += requests

    def check(self, nbytes: int, requests: int, where: str) -> None:
        """Raise as ``reserve`` would, and set nothing aside."""
        self.reserve(nbytes, requests, where)
        self.give_back(nbytes, requests)

    def give_back(self, nbytes: int, requests: int = 0) -> None:
        """What was set aside and not used; a negative number is what was used beyond that."""
        with self._lock:
            self._used[0] -= nbytes
            self._used[1] -= requests


class Meter:
    """Counts one model's requests: in the session's budget and tally, and in a tally of its own."""

    def __init__(self, budget: Budget, session: Tally, progress: Callable[[Counters], None] | None) -> None:
        self._budget, self._session, self._progress = budget, session, progress
        self.own = Tally()

    def reserve(self, nbytes: int, requests: int, where: str) -> None:
        """Raises ``budget-spent``."""
        self._budget.reserve(nbytes, requests, where)

    def give_back(self, nbytes: int, requests: int = 0) -> None:
        """What was reserved and not used."""
        self._budget.give_back(nbytes, requests)

    def sent(self) -> None:
        """One request is sent, whether or not an answer comes."""
        for tally in (self._session, self.own):
            tally.add(requests=1)

    def resolved(self) -> None:
        """It told where a file lies."""
        for tally in (self._session, self.own):
            tally.add(resolves=1)

    def received(self, nbytes: int) -> None:
        """Bytes of a body came."""
        for tally in (self._session, self.own):
            tally.add(nbytes=nbytes)
        if self._progress is not None:
            self._progress(self._session.counters)
