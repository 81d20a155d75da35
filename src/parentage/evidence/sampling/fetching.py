"""What an audit will read over a network, asked for at once: a plan of many small ranges waits for the
slowest of them, not for each in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.errors import ReadError
from parentage.evidence.sampling.positions import SamplePlan, Sampling, plan_sample
from parentage.records.tensors import TensorRef

__all__ = ["FetchProgress", "budget_ended", "fetch", "planned"]

KILO = 1000


class FetchProgress:
    """Turns bytes received into progress. ``heard`` is called on the network's thread."""

    def __init__(self, progress: Callable[[str, int, int], None]) -> None:
        self._progress = progress
        self._received = self._before = self._planned = 0

    def plan(self, nbytes: int) -> None:
        """So many bytes more will come."""
        if self._received >= self._before + self._planned:
            self._before, self._planned = self._received, 0
        self._planned += nbytes
        self.heard(self._received)

    def heard(self, nbytes: int) -> None:
        """So many bytes came in all."""
        self._received = nbytes
        if self._planned:
            done = min(nbytes - self._before, self._planned)
            self._progress("fetching (kB)", done // KILO, self._planned // KILO)


def budget_ended(error: ReadError) -> bool:
    """Whether the budget, and not the place, refused a read."""
    return error.code == "budget-spent"


def planned(groups: Sequence[AlignedTensor], models: int, sampling: Sampling) -> list[list[Slices]]:
    """For each of ``models`` checkpoints, the slices that the sample takes, in the order of the groups."""
    found: list[list[Slices]] = [[] for _ in range(models)]
    for group in groups:
        if not group.suspect.dtype.is_float or not group.suspect.elements:
            continue
        plan = plan_sample(group.name, group.role, group.suspect.shape, sampling)
        for k, ref in enumerate((group.suspect, *group.others)):
            if isinstance(ref, TensorRef):
                found[k].append(_slices(ref, plan))
    return found


def _slices(ref: TensorRef, plan: SamplePlan) -> Slices:
    return Slices(ref, plan.starts, plan.length)


def fetch(groups: Sequence[AlignedTensor], checkpoints: Sequence[Checkpoint], sampling: Sampling) -> None:
    """Have the remote models' slices on their way; nothing for local ones.

    A budget that does not hold all of them is met again where they are read, one tensor after another.
    """
    slices = planned(groups, len(checkpoints), sampling)
    for checkpoint, wanted in zip(checkpoints, slices, strict=True):
        if not checkpoint.remote:
            continue
        try:
            checkpoint.announce_all(wanted)
        except ReadError as error:
            if not budget_ended(error):
                raise
