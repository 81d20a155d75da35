"""One checkpoint described, and two compared."""

from __future__ import annotations

from contextlib import ExitStack

from parentage.api.progress import Progress, silent
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.evidence.between.difference import compare_checkpoints
from parentage.evidence.inputs.asked_options import DEFAULT_SAMPLE, cores
from parentage.evidence.inspection import inspect_checkpoint
from parentage.records.difference import Difference
from parentage.records.inspection import Inspection

__all__ = ["diff", "inspect"]


def inspect(
    model: str,
    *,
    digests: bool = False,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    progress: Progress = silent,
) -> Inspection:
    """Describe one checkpoint; ``digests`` reads all of it. Raises ``ParentageError``."""
    with ExitStack() as stack:
        session = SharedSession(stack, limits).of(model)
        checkpoint = stack.enter_context(open_checkpoint(model, session=session))
        return inspect_checkpoint(
            checkpoint, digests=digests, workers=workers or cores(), progress=progress
        )


def diff(
    first: str,
    second: str,
    *,
    base: str | None = None,
    sample: int | None = DEFAULT_SAMPLE,
    seed: int = 0,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    progress: Progress = silent,
) -> Difference:
    """Compare two checkpoints tensor by tensor; ``sample`` None examines every element."""
    with ExitStack() as stack:
        shared = SharedSession(stack, limits)
        opened = [
            stack.enter_context(open_checkpoint(place, session=shared.of(place)))
            for place in (first, second, base)
            if place is not None
        ]
        third = opened[2] if base is not None else None
        return compare_checkpoints(
            opened[0],
            opened[1],
            third,
            sample=sample,
            seed=seed,
            workers=workers or cores(),
            progress=progress,
        )
