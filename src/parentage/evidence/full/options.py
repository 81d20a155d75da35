"""Where a full pass runs, what counts there and what keeps its progress; refused before all reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.checkpoints.remote.remote_limits import RemoteLimits
from parentage.engines.devices import check_device
from parentage.engines.engine import Engine
from parentage.engines.registry import choose_engine
from parentage.errors import UsageError
from parentage.evidence.full.progress import check_progress

__all__ = ["FullOptions"]


@dataclass(frozen=True, slots=True)
class FullOptions:
    """As they were given; none of them decides a number."""

    engine: str | Engine = "threads"
    address: str | None = None
    resume: str | Path | None = None
    device: str = "cpu"

    def checked(self, full: bool, workers: int, limits: RemoteLimits | None) -> dict[str, Any]:
        """``engine``, ``resume`` and ``device`` of ``measure.Options``. Raises ``UsageError``
        (``usage-engine``, ``usage-device``, ``usage-not-full``) and what ``check_progress`` does."""
        chosen = self._chosen(workers)
        self._for_a_full_pass(full, chosen)
        if chosen is not None and chosen.remote and limits is not None and limits.bounded:
            raise UsageError(
                "workers in other processes do not share a budget",
                code="usage-engine",
                hint="go without --budget, or with --engine threads",
            )
        check_device(self.device, chosen)
        kept = None if self.resume is None else Path(self.resume)
        if kept is not None:
            check_progress(kept)
        return {"engine": chosen, "resume": kept, "device": self.device}

    def _chosen(self, workers: int) -> Engine | None:
        if isinstance(self.engine, str):
            return choose_engine(self.engine, self.address, workers)
        return self.engine

    def _for_a_full_pass(self, full: bool, chosen: object) -> None:
        if not full and (chosen is not None or self.resume is not None or self.device != "cpu"):
            raise UsageError(
                "engine, device and a file to resume from are for the full pass, which was not asked for",
                code="usage-not-full",
                hint="add --full (verify: the evidence is of a sample)",
            )
