"""From what was asked for to what decides the evidence: defaults differ where a model is on a network."""

from __future__ import annotations

import os
from dataclasses import dataclass

from parentage.checkpoints.remote.remote_limits import RemoteLimits
from parentage.evidence.measure import AuditInputs, Options
from parentage.evidence.sampling.positions import BLOCK, REMOTE_RUN
from parentage.evidence.sampling.reading_plan import ReadingBudget

__all__ = ["DEFAULT_SAMPLE", "REMOTE_SAMPLE", "REMOTE_STAGES", "Asked", "cores", "options_for"]

# From measured power (docs/log.md): 65,536 elements tell float32 recipes apart and see a change of
# .007 % of a tensor with 99 % power; a triple of 300 tensors reads 240 MB.
DEFAULT_SAMPLE = 65_536
# Two runs of each tensor, and 32 across the borders of a layer's experts: three models of 3,000 tensors are
# read in some 15,000 requests and less than 100 MB.
REMOTE_SAMPLE = 4_096
# What that leaves open is read further, within 100 MB or the budget that was given.
REMOTE_STAGES = (16_384, 65_536)


@dataclass(frozen=True, slots=True)
class Asked:
    """``sample`` None: the default of the place; ``workers`` 0: one a core."""

    sample: int | None = None
    seed: int = 0
    full: bool = False
    digests: bool = True
    workers: int = 0


def cores() -> int:
    """Of this machine, that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def options_for(inputs: AuditInputs, asked: Asked, limits: RemoteLimits) -> Options:
    """Over a network, fewer elements in longer runs: a request costs what many of them do."""
    remote = any(m.checkpoint.remote for m in inputs.models)
    default, run = (REMOTE_SAMPLE, REMOTE_RUN) if remote else (DEFAULT_SAMPLE, BLOCK)
    budget = ReadingBudget(limits.budget_bytes, limits.budget_requests) if limits.bounded else None
    return Options(
        asked.sample or default,
        asked.seed,
        asked.full,
        asked.digests,
        asked.workers or cores(),
        run,
        budget,
        further=REMOTE_STAGES if remote and asked.sample is None else (),
    )
