"""The reading of an audit without its measures: what the network takes, under which conditions."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from .process import SCRIPT, counts_of, serving
from .server import OWNER, Conditions

__all__ = ["TRIPLE", "read_from", "read_under"]

TRIPLE = ("merged", "tuned", "base")


def read_from(address: str, models: Sequence[str]) -> dict[str, Any]:
    """Open the models at a hub and read the default sample of all of them, in this process."""
    from parentage.architectures.alignment import align
    from parentage.checkpoints.opening import open_checkpoint
    from parentage.checkpoints.remote.remote_limits import SAMPLE_MEMORY_BYTES, SPILL_BYTES
    from parentage.checkpoints.remote.remote_session import RemoteSession
    from parentage.evidence.inputs.asked_options import REMOTE_SAMPLE
    from parentage.evidence.sampling.fetching import planned
    from parentage.evidence.sampling.positions import REMOTE_RUN, Sampling

    began = time.perf_counter()
    with ExitStack() as stack:
        session = RemoteSession(
            hub_endpoint=address, memory_bytes=SAMPLE_MEMORY_BYTES, spill_bytes=SPILL_BYTES
        )
        stack.enter_context(session)
        opened = [
            stack.enter_context(open_checkpoint(f"hf://{OWNER}/{name}", session=session)) for name in models
        ]
        ready = time.perf_counter()
        groups = align(opened[0], opened[1:]).groups
        plans = planned(groups, len(opened), Sampling(REMOTE_SAMPLE, 0, REMOTE_RUN))
        for checkpoint, plan in zip(opened, plans, strict=True):
            checkpoint.announce_all(plan)
        for checkpoint, plan in zip(opened, plans, strict=True):
            for part in plan:
                checkpoint.read_blocks(part.tensor, part.starts, part.length)
        counters, done = session.counters, time.perf_counter()
        read = sum(c.bytes_read for c in opened)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "models": list(models),
        "opening seconds": round(ready - began, 2),
        "reading seconds": round(done - ready, 2),
        "processor seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak resident bytes": used.ru_maxrss * 1024,
        "bytes received": counters.bytes_read,
        "bytes read": read,
        "requests": counters.requests,
        "resolves": counters.resolves,
    }


def read_under(conditions: Conditions, *, small: bool, models: Sequence[str] = TRIPLE) -> dict[str, Any]:
    """The same in a process of its own, against a hub in another."""
    with serving(small=small, conditions=conditions) as address:
        command = [sys.executable, str(SCRIPT), "read", "--address", address]
        for name in models:
            command += ["--model", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        counts = counts_of(address)
    failed = sum(n for kind, n in counts.items() if kind.startswith("failed"))
    return {"latency": conditions.latency, "failing": conditions.failing, "failed": failed, **found}
