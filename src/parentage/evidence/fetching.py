"""What an audit will read over a network, asked for at once: a plan of many small ranges waits for the
slowest of them, not for each in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parentage.architectures.alignment import Alignment
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.evidence.sampling import SamplePlan, Sampling, plan_sample
from parentage.records.tensors import TensorRef

__all__ = ["fetch", "planned"]


def planned(alignment: Alignment, models: int, sampling: Sampling) -> list[list[Slices]]:
    """For each of ``models`` checkpoints, the slices that the sample takes, in the order of the groups."""
    found: list[list[Slices]] = [[] for _ in range(models)]
    for group in alignment.groups:
        if not group.suspect.dtype.is_float or not group.suspect.elements:
            continue
        plan = plan_sample(group.name, group.role, group.suspect.shape, sampling)
        for k, ref in enumerate((group.suspect, *group.others)):
            if isinstance(ref, TensorRef):
                found[k].append(_slices(ref, plan))
    return found


def _slices(ref: TensorRef, plan: SamplePlan) -> Slices:
    return Slices(ref, plan.starts, plan.length)


def fetch(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    sampling: Sampling,
    progress: Callable[[str, int, int], None],
) -> None:
    """Have the remote models' slices at hand; nothing for local ones."""
    remote = [k for k, c in enumerate(checkpoints) if c.remote]
    if not remote:
        return
    plans = planned(alignment, len(checkpoints), sampling)
    for done, k in enumerate(remote):
        progress("fetching", done, len(remote))
        checkpoints[k].announce_all(plans[k])
    progress("fetching", len(remote), len(remote))
