"""Embedding rows whose token never occurred in training: weight decay alone moved them.

They are a clock. Put the parent's rows through the right number of steps of the right schedule and
every bit of the suspect's comes out; any other parent, and any other number of steps, fails. The
reverse cannot happen by accident: rows that shrank do not grow back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.numerics.storage.formats import to_float64
from parentage.numerics.training.decay import (
    DecayReplay,
    Update,
    measure_shrinkage,
    order_witnesses,
    replay_decay,
    scan_schedules,
    visible_decays,
)
from parentage.numerics.training.schedules import (
    Grid,
    Schedule,
    ScheduleKind,
    plausible_schedules,
    split_product,
    splits,
)
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import QuietRows
from parentage.records.tensors import TensorRef

__all__ = ["measure_quiet_rows"]

# 8 MB of float32 a block and model.
BLOCK_ELEMENTS = 2 * 2**20
SAMPLE_ROWS = 64
PROBES = 64
WITNESSES = 65_536
# Steps tried in the search for a schedule, some 5 ns each, for each of three arithmetics. The real
# fine-tunes that this was made on (300 and some 900 steps) need 3e7 and 1e8.
STEP_BUDGET = 200_000_000
# Below this share of exact elements a replay does not explain the rows.
EXACT_SHARE = 0.999


@dataclass(frozen=True, slots=True)
class _Survey:
    """First pass: which rows are quiet [rows], and the least and largest factor seen in them."""

    quiet: NDArray[np.bool_]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Sample:
    """Elements of quiet rows before and after: random ones, and those that tell the order of steps."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    telling: NDArray[np.bool_]
    log_decay: float


@dataclass(frozen=True, slots=True)
class _Explanation:
    """What replays the sample: one schedule, or several that leave the same bits."""

    schedules: tuple[Schedule, ...]
    update: Update
    tried: int
    neighbours_rejected: bool


def measure_quiet_rows(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    *,
    block_elements: int = BLOCK_ELEMENTS,
    step_budget: int = STEP_BUDGET,
) -> tuple[QuietRows, ...]:
    """Quiet rows of every token embedding of the suspect against every other model.

    Needs a float32 suspect (values that 16 bits could hold show no decay); a parent of 16 bits is
    widened, as training would. Only pairs with quiet rows are returned. ``exact_rows`` is above zero
    only when a replay reproduces them in every bit; without it the factor alone is known, and rows of a
    sibling or of a merge can shrink so too.
    """
    found = []
    for group in alignment.groups:
        if group.role.role != "embedding.token" or not _is_matrix(group.suspect):
            continue
        for model, other in enumerate(group.others, start=1):
            if isinstance(other, TensorRef) and other.dtype in (DType.F32, DType.BF16, DType.F16):
                pair = _Pair(group, other, checkpoints[0], checkpoints[model], block_elements)
                entry = _measure_pair(pair, model, step_budget)
                if entry is not None:
                    found.append(entry)
    return tuple(found)


def _is_matrix(tensor: TensorRef) -> bool:
    return tensor.dtype is DType.F32 and len(tensor.shape) == 2 and min(tensor.shape) > 0


@dataclass(frozen=True, slots=True)
class _Pair:
    """One tensor of the suspect and its counterpart, read in step by blocks of rows."""

    group: AlignedTensor
    other: TensorRef
    suspect: Checkpoint
    model: Checkpoint
    block_elements: int

    @property
    def rows(self) -> int:
        return int(self.group.suspect.shape[0])

    @property
    def columns(self) -> int:
        return int(self.group.suspect.shape[1])

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
        """Rows, the model's values and the suspect's [block, columns]."""
        step = max(1, self.block_elements // self.columns)
        for begin in range(0, self.rows, step):
            rows = slice(begin, min(begin + step, self.rows))
            before = _values(self.model, self.other, rows, self.columns)
            after = _values(self.suspect, self.group.suspect, rows, self.columns)
            yield rows, before, after


def _values(checkpoint: Checkpoint, tensor: TensorRef, rows: slice, columns: int) -> NDArray[np.float32]:
    bits = checkpoint.read(tensor, rows.start * columns, (rows.stop - rows.start) * columns)
    if tensor.dtype is DType.F32:
        return bits.view(np.float32).reshape(-1, columns)
    return to_float64(bits, tensor.dtype).astype(np.float32).reshape(-1, columns)


def _measure_pair(pair: _Pair, model: int, step_budget: int) -> QuietRows | None:
    survey = _survey(pair)
    if survey is None:
        return None
    sample = _draw(pair, survey)
    explained = _explain(sample, step_budget)
    exact = 0
    if isinstance(explained, _Explanation):
        exact = _count_exact(pair, survey, explained)
    return _record(pair, model, survey, explained, exact)


def _survey(pair: _Pair) -> _Survey | None:
    quiet = np.zeros(pair.rows, dtype=bool)
    low, high = np.full(pair.rows, np.nan), np.full(pair.rows, np.nan)
    fine = False
    for rows, before, after in pair.blocks():
        shrinkage = measure_shrinkage(before, after)
        quiet[rows], low[rows], high[rows] = shrinkage.shrunk, shrinkage.low, shrinkage.high
        # The 13 low bits of a float32 are zero in everything that 16 bits can hold.
        fine = fine or bool((after[shrinkage.shrunk].view(np.uint32) & np.uint32(0x1FFF)).any())
    if not fine:
        return None
    # One schedule moves all quiet rows alike; a row far from the others moved for another reason.
    largest = 1 - low
    typical = np.median(largest[quiet])
    quiet &= np.nan_to_num(np.abs(largest - typical), nan=np.inf) <= 0.25 * typical
    if np.count_nonzero(quiet) < 2:
        return None
    return _Survey(quiet, float(low[quiet].min()), float(high[quiet].max()))


def _draw(pair: _Pair, survey: _Survey) -> _Sample:
    """Up to 64 rows spread over the quiet ones, and elements of all rows that tell the order."""
    index = np.flatnonzero(survey.quiet)
    chosen = np.zeros(pair.rows, dtype=bool)
    chosen[index[:: -(-index.size // SAMPLE_ROWS)]] = True
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]] = []
    room = WITNESSES
    for rows, before, after in pair.blocks():
        take, rest = chosen[rows], survey.quiet[rows] & ~chosen[rows]
        old, new = before[take].reshape(-1), after[take].reshape(-1)
        parts.append((old, new, np.zeros(old.size, dtype=bool)))
        if room > 0:
            old, new = before[rest].reshape(-1), after[rest].reshape(-1)
            telling = np.flatnonzero(order_witnesses(old, 1 - survey.low))[:room]
            parts.append((old[telling], new[telling], np.ones(telling.size, dtype=bool)))
            room -= telling.size
    old = np.abs(np.concatenate([part[0] for part in parts]))
    new = np.abs(np.concatenate([part[1] for part in parts]))
    normal = old >= np.float32(2.0**-100)
    telling = np.concatenate([part[2] for part in parts])[normal]
    old, new = old[normal], new[normal]
    return _Sample(old, new, telling, _log_decay(old, new))


def _log_decay(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Sum of lr x wd. Near the top of a binade the steps of a mantissa are those of the factor, so the
    ratio there is free of the bias of rounding."""
    top = (before.view(np.uint32) & np.uint32(0x7FFFFF)) > np.uint32(0.97 * 2**23)
    old, new = (before[top], after[top]) if top.any() else (before, after)
    return float(np.median(np.log(old.astype(np.float64) / new.astype(np.float64))))


def _explain(sample: _Sample, step_budget: int) -> _Explanation | Absent:
    if sample.log_decay <= 0:
        return Absent("most elements did not move")
    single = _single_unit_steps(sample)
    if single is not None:
        return single
    grid = plausible_schedules(sample.log_decay)
    if grid.kind.size == 0:
        return Absent("no usual schedule decays that little or that much")
    tried = 0
    for update in Update:
        found, tried = _matching(sample, grid, update, step_budget)
        if found:
            return _Explanation(found, update, tried, _neighbours_rejected(sample, found[0], update))
    return Absent(
        f"none of {tried:,} usual schedules reproduces the rows bit for bit; the rows of a sibling with "
        "a shorter run, or of a blend, shrink by one factor too"
    )


def _single_unit_steps(sample: _Sample) -> Absent | None:
    """Steps of one grid unit each: how many is known, how large their rates were is not."""
    units = sample.before.view(np.uint32) - sample.after.view(np.uint32)
    steps = int(np.median(units))
    # An element that crosses a power of two moves by other units after it.
    within = (sample.before.view(np.uint32) & np.uint32(0x7FFFFF)) >= np.uint32(min(steps, 2**23 - 1))
    if not within.any() or np.mean(units[within] == steps) < EXACT_SHARE:
        return None
    return Absent(
        f"{steps:,} steps of the smallest size that float32 shows: any rate that small leaves the same bits"
    )


def _probes(sample: _Sample) -> NDArray[np.int64]:
    """Places of elements spread over the mantissas; the first two the highest and the lowest."""
    order = np.argsort(sample.before.view(np.uint32) & np.uint32(0x7FFFFF), kind="stable")
    spread = order[np.linspace(0, order.size - 1, min(PROBES, order.size)).astype(np.int64)]
    return np.concatenate([order[-1:], order[:1], spread]).astype(np.int64)


def _matching(
    sample: _Sample, grid: Grid, update: Update, step_budget: int
) -> tuple[tuple[Schedule, ...], int]:
    probes = _probes(sample)
    named = {p: split_product(p) for p in np.unique(grid.product).tolist()}
    rate, decay = np.array([named[p] for p in grid.product.tolist()]).T
    first, last, tried = scan_schedules(
        grid,
        rate,
        decay,
        sample.before[probes],
        sample.after[probes],
        update=update,
        budget=step_budget,
    )
    found: dict[Schedule, None] = {}
    for g in np.flatnonzero(first).tolist():
        total, asked = int(grid.total[g]), int(grid.asked[g])
        ended = first[g] <= total <= last[g] and grid.kind[g] != ScheduleKind.CONSTANT
        if asked >= 0 and not ended:
            continue
        kind, steps = ScheduleKind(int(grid.kind[g])), total if ended else int(first[g])
        # A constant rate plans no end.
        planned = steps if kind is ScheduleKind.CONSTANT else total
        schedule = Schedule(kind, steps, planned, int(grid.warmup[g]), float(rate[g]), float(decay[g]))
        if _share(sample, schedule.decays(), update) >= EXACT_SHARE:
            found[schedule] = None
    exact = [s for s in found if _share(sample, s.decays(), update) == 1.0]
    return tuple(exact or found), tried


def _share(sample: _Sample, decays: NDArray[np.float64], update: Update) -> float:
    """Share of elements replayed exactly, of those drawn at random or of the telling: the smaller."""
    replayed = replay_decay(sample.before, decays, update)
    same = replayed.view(np.uint32) == sample.after.view(np.uint32)
    parts = [part for part in (same[sample.telling], same[~sample.telling]) if part.size]
    return min(float(part.mean()) for part in parts)


def _neighbours_rejected(sample: _Sample, schedule: Schedule, update: Update) -> bool:
    """One step fewer and one step more both fail."""
    decays = schedule.decays()
    more = replace(schedule, steps=schedule.steps + 1).decays()
    return all(_share(sample, d, update) < EXACT_SHARE for d in (decays[:-1], more))


def _count_exact(pair: _Pair, survey: _Survey, explained: _Explanation) -> int:
    """Rows of the suspect that the first schedule reproduces in every bit."""
    decays = explained.schedules[0].decays()
    if len(explained.schedules) > 1 and np.unique(visible_decays(decays)).size < 2:
        # Equal steps of a size that several rates share: a sibling's rows would replay as well.
        return 0
    elements = int(np.count_nonzero(survey.quiet)) * pair.columns
    replay = DecayReplay(decays, explained.update, elements)
    exact = 0
    for rows, before, after in pair.blocks():
        quiet = survey.quiet[rows]
        if quiet.any():
            exact += int(np.count_nonzero(replay.exact(before[quiet], after[quiet]).all(axis=1)))
    return exact


def _record(
    pair: _Pair, model: int, survey: _Survey, explained: _Explanation | Absent, exact: int
) -> QuietRows:
    schedule, unique = _sentence(explained), None
    unknown = explained if isinstance(explained, Absent) else Absent("several schedules fit")
    if isinstance(explained, _Explanation) and len(explained.schedules) == 1:
        unique = explained.schedules[0]
    return QuietRows(
        model=model,
        tensor=pair.group.name,
        rows=pair.rows,
        quiet=int(np.count_nonzero(survey.quiet)),
        factor_low=survey.low,
        factor_high=survey.high,
        schedule=schedule,
        exact_rows=exact,
        steps=unique.steps if unique else unknown,
        learning_rate=unique.learning_rate if unique else unknown,
        weight_decay=unique.weight_decay if unique else unknown,
        neighbours_rejected=isinstance(explained, _Explanation) and explained.neighbours_rejected,
    )


def _sentence(explained: _Explanation | Absent) -> str | Absent:
    if isinstance(explained, Absent):
        return explained
    first = explained.schedules[0]
    if len(explained.schedules) > 1:
        return Absent(
            f"{len(explained.schedules)} usual schedules leave the same bits, among them "
            f"{first.sentence()}, and {explained.schedules[1].sentence()}"
        )
    notes = [f"the only one of {explained.tried:,} usual schedules that gives these bits"]
    if alike := _look_alikes(first, explained.update):
        notes.append(f"{alike} of odd numbers within 2 steps of it do too")
    shown = first.learning_rate * first.weight_decay
    if len(splits(shown)) > 1:
        notes.append(f"of rate and decay only the product shows, {shown:g}")
    return f"{first.sentence()} ({'; '.join(notes)})"


def _look_alikes(schedule: Schedule, update: Update) -> int:
    """Schedules with numbers up to two steps away whose factors are the same in float32. (Of the 300
    steps of 400 with warm-up 100 at 2e-7 there are five, such as 300 of 399.)"""
    if update is not Update.FACTOR or schedule.kind is ScheduleKind.CONSTANT:
        return 0
    visible = visible_decays(schedule.decays())
    near = range(-2, 3)
    count = 0
    for k, t, w in product(near, near, near):
        steps, total, warmup = schedule.steps + k, schedule.total + t, schedule.warmup + w
        if (k or t or w) and 0 < steps <= total and 0 <= warmup < total:
            other = replace(schedule, steps=steps, total=total, warmup=warmup)
            count += np.array_equal(visible_decays(other.decays()), visible)
    return count
