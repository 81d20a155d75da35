"""The first pass over all tensors, in stages: a component is read further until its question is answered.

What is read depends on data, seed and options alone: never on time, threads or what a cache holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.remote.costs import Cost
from parentage.engines.threads import map_ordered
from parentage.errors import ReadError
from parentage.evidence.sampling.fetching import FetchProgress, budget_ended, fetch
from parentage.evidence.sampling.positions import Sampling, new_elements, plan_sample, seeded_rng
from parentage.evidence.sampling.reading import TensorSample, read_sample
from parentage.evidence.sampling.reading_plan import (
    NOTHING,
    ReadingBudget,
    cost_of_opening,
    cost_of_reading,
)
from parentage.evidence.sampling.staged_evidence import stage_evidence
from parentage.evidence.sampling.stopping import LEVEL, OPEN, component_reading, needed_for, tested_mixture
from parentage.evidence.tensors import MeasuredTensor, TensorPlan, measure_tensor
from parentage.numerics.deciding.predictive import LogEvidence
from parentage.records.absence import Absent
from parentage.records.reading import ONE_STAGE, ComponentReading, Reading

__all__ = ["STAGE_BUDGET", "FirstPass", "StagedPass"]

Progress = Callable[[str, int, int], None]

# Later stages are read where all of it together stays within this, when no budget was given: hubs limit
# anonymous users to some thousands of requests in five minutes.
STAGE_BUDGET = ReadingBudget(100_000_000, 15_000)
# Matrices of a component whose e-values are computed, drawn from the seed: .1 to .3 s each and stage.
MOST_TESTED = 12


@dataclass(frozen=True, slots=True)
class StagedPass:
    """What was measured, on which sample, and why no more was read. ``spent``: what it costs by range,
    opening and looks included."""

    measured: tuple[MeasuredTensor, ...]
    sampling: Sampling
    reading: Reading | Absent
    spent: Cost


class FirstPass:
    """Measures ``groups`` at ``sampling``, and then further where ``sampling.further`` says.

    ``reached``: how far an evidence says that each component was read; None: its question decides.
    ``before``: what looks beside the sample have cost. ``under_way``: they have asked for the first stage,
    and told ``fetched`` of it.
    """

    def __init__(
        self,
        groups: Sequence[AlignedTensor],
        checkpoints: Sequence[Checkpoint],
        plan: TensorPlan,
        *,
        workers: int,
        progress: Progress,
        fetched: FetchProgress | None = None,
        budget: ReadingBudget | None = None,
        before: Cost = NOTHING,
        under_way: bool = False,
    ) -> None:
        self._groups, self._checkpoints, self._plan = groups, checkpoints, plan
        self._workers, self._progress, self._fetched = workers, progress, fetched
        self._budget, self._under_way = budget or STAGE_BUDGET, under_way
        self._opened = cost_of_opening(checkpoints) + before
        self._found: dict[str, MeasuredTensor] = {}
        self._totals: dict[str, LogEvidence] = {}

    def run(self, sampling: Sampling, reached: tuple[tuple[str, int], ...] | None) -> StagedPass:
        """All stages. Raises ``ReadError`` for anything but a budget that ended."""
        self._announce(self._groups, sampling, sampling, first=True)
        self._found = self._measured(self._groups, sampling)
        self._groups = [g for g in self._groups if g.name in self._found]
        if not sampling.further or not self._plan.pairs or not self._groups:
            return StagedPass(self._in_order(), sampling, ONE_STAGE, self._cost(sampling))
        self._totals = self._tested(sampling)
        needed = needed_for(len(self._components()), len(self._plan.pairs))
        stopped = False
        for stage in range(1, len(sampling.further) + 1):
            wanted = self._wanted(sampling, stage, reached, needed)
            further = _advanced(sampling, wanted, stage)
            if not wanted or not self._advance(wanted, sampling, further):
                stopped = bool(wanted)
                break
            sampling = further
        readings = self._readings(sampling, needed)
        stages = (sampling.elements, *sampling.further)
        ended = self._ended(readings, sampling, stopped)
        reading = Reading(stages, LEVEL, needed, readings, ended)
        return StagedPass(self._in_order(), sampling, reading, self._cost(sampling))

    def _in_order(self) -> tuple[MeasuredTensor, ...]:
        return tuple(self._found[g.name] for g in self._groups)

    def _announce(
        self, groups: Sequence[AlignedTensor], before: Sampling, after: Sampling, *, first: bool
    ) -> None:
        if self._fetched is not None:
            planned = cost_of_reading(groups, self._checkpoints, after).nbytes
            fresh = first and not self._under_way
            known = 0 if fresh else cost_of_reading(groups, self._checkpoints, before).nbytes
            self._fetched.plan(max(planned - known, 0))
        fetch(groups, self._checkpoints, after)

    def _measured(self, groups: Sequence[AlignedTensor], sampling: Sampling) -> dict[str, MeasuredTensor]:
        """Those that could be read: a budget may end before, where requests had to be repeated."""

        def work(aligned: AlignedTensor) -> MeasuredTensor | None:
            try:
                sample = read_sample(aligned, self._checkpoints, sampling)
            except ReadError as error:
                if not budget_ended(error):
                    raise
                return None
            return measure_tensor(sample, self._plan)

        found = {}
        for done, item in enumerate(map_ordered(work, groups, workers=self._workers), 1):
            self._progress("measuring tensors", done, len(groups))
            if item is not None:
                found[item.evidence.name] = item
        return found

    def _components(self) -> list[str]:
        return sorted({g.role.component for g in self._groups})

    def _of(self, component: str) -> list[AlignedTensor]:
        return [g for g in self._groups if g.role.component == component]

    def _tested(self, sampling: Sampling) -> dict[str, LogEvidence]:
        """The first stage against itself: one half of the rows is fitted to, the other tested on."""
        drawn = [g for component in self._components() for g in self._drawn(component, sampling.seed)]
        return self._evidence(drawn, sampling, _second_half)

    def _drawn(self, component: str, seed: int) -> list[AlignedTensor]:
        groups = [g for g in self._of(component) if self._testable(g)]
        order = seeded_rng(seed, "tested", component).permutation(len(groups))
        return [groups[k] for k in sorted(order[:MOST_TESTED].tolist())]

    def _testable(self, group: AlignedTensor) -> bool:
        return tested_mixture(self._found[group.name].evidence) is not None

    def _evidence(
        self,
        groups: Sequence[AlignedTensor],
        sampling: Sampling,
        new: Callable[[TensorSample], NDArray[np.bool_]],
    ) -> dict[str, LogEvidence]:
        def work(group: AlignedTensor) -> LogEvidence:
            mixture = tested_mixture(self._found[group.name].evidence)
            if mixture is None:
                return LogEvidence()
            sample = read_sample(group, self._checkpoints, sampling)
            return stage_evidence(sample, mixture, new(sample))

        found = {}
        for done, (group, item) in enumerate(
            zip(groups, map_ordered(work, groups, workers=self._workers), strict=True), 1
        ):
            self._progress("weighing what was read", done, len(groups))
            found[group.name] = item
        return found

    def _readings(self, sampling: Sampling, needed: float) -> tuple[ComponentReading, ...]:
        return tuple(
            component_reading(
                component,
                1 + len(sampling.later(component)),
                [self._found[g.name].evidence for g in self._of(component)],
                self._totals,
                needed,
            )
            for component in self._components()
        )

    def _wanted(
        self,
        sampling: Sampling,
        stage: int,
        reached: tuple[tuple[str, int], ...] | None,
        needed: float,
    ) -> list[str]:
        """Components that go on to ``stage``: open ones, as many as can be paid for, the cheapest first."""
        if reached is not None:
            return [c for c in self._components() if dict(reached).get(c, 0) >= stage]
        open_ = [r.component for r in self._readings(sampling, needed) if r.outcome == OPEN]
        open_ = [c for c in open_ if len(sampling.later(c)) == stage - 1]
        costs = {c: self._cost(_advanced(sampling, [c], stage)) for c in open_}
        chosen: list[str] = []
        for component in sorted(open_, key=lambda c: (costs[c].nbytes, c)):
            if self._budget.holds(self._cost(_advanced(sampling, [*chosen, component], stage))):
                chosen.append(component)
        return sorted(chosen)

    def _cost(self, sampling: Sampling) -> Cost:
        return self._opened + cost_of_reading(self._groups, self._checkpoints, sampling)

    def _advance(self, components: Sequence[str], before: Sampling, after: Sampling) -> bool:
        """Read and measure one stage more; False, and nothing changed, where a budget ended within it."""
        groups = [g for g in self._groups if g.role.component in components]
        self._announce(groups, before, after, first=False)
        found = self._measured(groups, after)
        if len(found) < len(groups):
            return False
        self._found |= found

        def new(sample: TensorSample) -> NDArray[np.bool_]:
            earlier, later = (
                plan_sample(sample.name, sample.role, sample.shape, s) for s in (before, after)
            )
            return new_elements(earlier, later)

        tested = [g for g in groups if g.name in self._totals]
        for name, more in self._evidence(tested, after, new).items():
            self._totals[name] += more
        return True

    def _ended(self, readings: Sequence[ComponentReading], sampling: Sampling, stopped: bool) -> str:
        still = [r.component for r in readings if r.outcome == OPEN]
        if not still:
            return "every component's question was answered"
        last = [c for c in still if len(sampling.later(c)) == len(sampling.further)]
        if len(last) == len(still) and not stopped:
            return f"the last stage was read; open: {', '.join(still)}"
        return f"the next stage exceeds the budget of {self._budget.words()}; open: {', '.join(still)}"


def _second_half(sample: TensorSample) -> NDArray[np.bool_]:
    """Every other row or run [n]; of a single run its second half."""
    if sample.rows.size and sample.rows[0] == sample.rows[-1]:
        return np.arange(sample.rows.size) >= sample.rows.size // 2
    return np.asarray(sample.rows % 2 == 1)


def _advanced(sampling: Sampling, components: Sequence[str], stage: int) -> Sampling:
    reached = dict(sampling.reached) | dict.fromkeys(components, stage)
    return replace(sampling, reached=tuple(sorted(reached.items())))
