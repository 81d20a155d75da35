"""Whether the head of a Ray cluster still answers.

Ray itself ends the process a minute after its head is gone, with a line of its own and no error that could
be caught; the workers go on answering until then.
"""

from __future__ import annotations

import atexit
import socket
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

from parentage.errors import ReadError

__all__ = ["Head"]

# Of the 60 seconds that Ray waits (gcs_rpc_server_reconnect_timeout_s) a third is enough to be sure.
PERIOD = 5.0
SILENCE = 20.0
ANSWER = 5.0


@dataclass
class Head:
    """``address``: host and port of the cluster's control service; None where it is not known, and nothing
    is watched. ``lost``: it has not answered for ``silence`` seconds. ``abandoned``: of any head of this
    process; its client's threads then crash where an interpreter ends as usual (seen with Ray 2.60)."""

    abandoned: ClassVar[bool] = False

    ray: Any
    address: tuple[str, int] | None
    period: float = PERIOD
    silence: float = SILENCE
    lost: bool = False
    _answered: float = field(default_factory=time.monotonic)
    _asked: float = field(default_factory=time.monotonic)

    @staticmethod
    def of(ray: Any) -> Head:
        """The head of the cluster that this process is connected to."""
        try:
            host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
        except (AttributeError, RuntimeError):  # a client of a cluster elsewhere has none
            return Head(ray, None)
        return Head(ray, (host.strip("[]"), int(port)) if port.isdigit() else None)

    def check(self) -> None:
        """Ask once a period; ``ReadError`` (``engine-cluster-lost``) where it was silent for too long."""
        now = time.monotonic()
        if self.address is None or now - self._asked < self.period:
            return
        self._asked = now
        if self._answers():
            self._answered = time.monotonic()
        elif now - self._answered >= self.silence:
            self._leave()
            raise ReadError(
                f"the head of the Ray cluster has not answered for {now - self._answered:.0f} seconds",
                code="engine-cluster-lost",
                where=f"{self.address[0]}:{self.address[1]}",
                hint="start the cluster again and run the same command: --resume goes on from what is done",
            )

    def _answers(self) -> bool:
        assert self.address is not None
        try:
            with socket.create_connection(self.address, timeout=ANSWER):
                return True
        except OSError:
            return False

    def _leave(self) -> None:
        """Nothing is asked of it any more: to take leave of a dead head takes a minute, and the process."""
        self.lost = Head.abandoned = True
        atexit.unregister(self.ray.shutdown)
