"""Did something happen after the blend was stored? Detected only when its rivals are excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from parentage.numerics.shares.intervals_binomial import (
    clopper_pearson,
    hartung_knapp,
    smallest_detectable_share,
)
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.evidence import ChangeReach, Comparison
from parentage.records.report import ExcludedCause, ExpertsSeen, PostTraining, Stratum
from parentage.verdicts.beside.tensors import TensorReading, along_parents
from parentage.verdicts.blends.blend_tests import ALONG_PARENTS, Tested, passes_later_change, size_of_change
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["judge_later_change", "pooled_weights", "strata"]

LEVEL = 0.95
Z = 1.959963984540054
LEAST_WIDTH = 2e-4
# Share of the elements beyond the roundings of any 16-bit arithmetic. Untrained blends by such arithmetics
# left at most 4e-4 of them (cancelling operands), dense changes of sigma/std 1e-4 from 2.4e-3 on.
BEYOND_SHARE = 1e-3
# Of the elements that one whole grid step would put beyond one intermediate rounding, how many are there?
# Untrained blends by arithmetics that are not on our list showed up to .6 of them, sparse changes all,
# dense ones more than all.
BEYOND_STEP_RATIO = 0.75
# Fewer elements off the replay than this say nothing about their distances.
LEAST_OFF = 30
# Log-likelihood by which whole steps after the blend must lead whole steps of a parent before it.
REVISION_LEAD = 10.0
# A matrix whose own lead is nearer to none than this speaks for neither side.
LEAST_LEAD = 2.0

RIVALS = (
    "another arithmetic",
    "parents cast to another dtype first",
    "an intermediate rounding (a blend of a blend, a dequantised parent)",
    "a parent that is not on the list",
)
REVISION = "another revision of a parent"


def strata(tensors: Sequence[TensorReading]) -> tuple[Stratum, ...]:
    """Elements off the replay by layer and component, with what would have been seen."""
    counts: dict[tuple[int, str], list[int]] = {}
    for reading in tensors:
        if reading.replay is None or not _blended(reading):
            continue
        layer = -1 if isinstance(reading.tensor.layer, Absent) else reading.tensor.layer
        row = counts.setdefault((layer, reading.tensor.component), [0, 0])
        row[0] += reading.replay.informative - reading.replay.informative_matches
        row[1] += reading.replay.informative
    return tuple(
        Stratum(
            layer=Absent("outside the stack of layers") if layer < 0 else layer,
            component=component,
            off_replay=off,
            elements=total,
            upper=clopper_pearson(off, total, level=LEVEL)[1] if off else 1 - 0.05 ** (1 / total),
            smallest_seen=smallest_detectable_share(total, power=0.99),
        )
        for (layer, component), (off, total) in sorted(counts.items())
        if total
    )


def judge_later_change(merge: Weighing | None, tensors: Sequence[TensorReading]) -> PostTraining:
    """Only a supported blend can be asked whether it was changed afterwards."""
    if merge is None or merge.status is not Status.SUPPORTED:
        reason = Absent("no blend was established that a later change could be measured against")
        rivals = (ExcludedCause("everything that the verdict leaves open", reason),)
        return PostTraining("undetermined", reason, reason, rivals, reason)
    # A part that was copied whole was never blended: it is told as a part of its own.
    replayed = [t for t in tensors if _blended(t)]
    total = sum(t.replay.informative for t in replayed if t.replay)
    off = sum(t.replay.informative - t.replay.informative_matches for t in replayed if t.replay)
    if total == 0:
        reason = Absent("no element was replayed")
        return PostTraining("undetermined", reason, reason, (), reason)
    judged = _judged(replayed, off, total)
    return replace(judged, experts=_experts_seen(replayed))


def _judged(replayed: Sequence[TensorReading], off: int, total: int) -> PostTraining:
    low, high = clopper_pearson(off, total, level=LEVEL)
    share = Estimate(off / total, low, high, LEVEL)
    seen = _would_have_seen(total, replayed)
    if off == 0:
        return PostTraining("not-detected", _no_change(replayed), share, _all_excluded(), seen)
    if not all(t.replay_alike for t in replayed):
        reason = Absent("the recipe that was replayed has other parents than the blend")
        rivals = (ExcludedCause("a parent that is not part of the recipe", reason),)
        return PostTraining("undetermined", reason, share, rivals, seen)
    return _changed(replayed, share, seen)


def _blended(reading: TensorReading) -> bool:
    informative = reading.replay is not None and reading.replay.informative > 0
    return informative and reading.kind not in ("copy", "cast-copy", "quantized-copy")


def _experts_seen(replayed: Sequence[TensorReading]) -> ExpertsSeen | Absent:
    """A layer's experts lie in two tensors, of which samples may see different ones."""
    seen: dict[int, set[int]] = {}
    off: dict[int, set[int]] = {}
    count: dict[int, int] = {}
    for reading in replayed:
        layer = reading.tensor.layer
        if reading.replay is None or not reading.replay.experts or isinstance(layer, Absent):
            continue
        seen.setdefault(layer, set()).update(reading.replay.experts)
        off.setdefault(layer, set()).update(reading.replay.experts_off)
        count[layer] = reading.tensor.shape[0]
    if not seen:
        return Absent("no tensor holds a layer's experts")
    return ExpertsSeen(
        layers=len(seen),
        experts=sum(count.values()),
        examined=sum(len(found) for found in seen.values()),
        changed=tuple((layer, e) for layer in sorted(off) for e in sorted(off[layer])),
    )


def _no_change(replayed: Sequence[TensorReading]) -> Estimate | Absent:
    return Absent("no element differs from the replay: there is no change to measure the size of")


def _all_excluded() -> tuple[ExcludedCause, ...]:
    why = "nothing is left to explain: every element equals the replay"
    return tuple(ExcludedCause(rival, why) for rival in (*RIVALS, REVISION))


def _would_have_seen(total: int, replayed: Sequence[TensorReading]) -> str:
    share = smallest_detectable_share(total, power=0.99)
    tensors = len(replayed)
    return (
        f"{total:,} elements in {tensors:,} tensors were replayed: a change of "
        f"{share:.2g} or more of all elements would have been seen with 99 % power, wherever it is "
        f"spread evenly; the table by layer and component gives the bound for each part"
    )


def _changed(replayed: Sequence[TensorReading], share: Estimate, seen: str) -> PostTraining:
    carriers = [t for t in replayed if t.replay and t.replay.informative > t.replay.informative_matches]
    reach = pooled_reach(carriers)
    rounding_excluded, far = beyond_rounding(reach)
    passing = [t for t in carriers if _on_grid(t)]
    judged = [t for t in carriers if t.eligible and _compared(t)]
    grid_excluded = bool(judged) and len(passing) >= 0.5 * len(judged)
    # Not those alone that look like a later change: chance makes some of a revision's matrices do so.
    revision_excluded, revision = excludes_revision(judged)
    detected = rounding_excluded and grid_excluded and revision_excluded
    rivals = (
        *_weigh_rivals(far, rounding_excluded, grid_excluded, passing, judged),
        ExcludedCause(REVISION, revision if revision_excluded else Absent(revision)),
    )
    status = "detected" if detected else "undetermined"
    return PostTraining(status, pooled_sigma(passing or judged), share, rivals, seen)


def _on_grid(reading: TensorReading) -> bool:
    return reading.eligible and reading.kind == "changed"


def excludes_revision(tensors: Sequence[TensorReading]) -> tuple[bool, str]:
    """Is a change after the blend likelier than another revision of each parent before it, and not against
    the parents' difference, as what a revision leaves is? With the reason."""
    found = [t.replay.revision_leads for t in tensors if t.replay and t.replay.revision_leads]
    if not found:
        return False, "no matrix could be asked"
    sums = [sum(row[j] for row in found) for j in range(len(found[0]))]
    held = min(sums) >= REVISION_LEAD and all(
        _mostly_ahead([row[j] for row in found]) for j in range(len(sums))
    )
    along = along_parents(tensors)
    sentence = (
        f"whole grid steps after the blend are likelier than whole steps of a parent before it by "
        f"{min(sums):,.0f} in log-likelihood over {len(found)} matrices, and the change correlates by "
        f"{along:.2f} with the parents' difference"
    )
    return held and abs(along) <= ALONG_PARENTS, sentence


def _mostly_ahead(leads: Sequence[float]) -> bool:
    """Is the lead there in three quarters of the matrices that say anything?"""
    behind = sum(lead <= -LEAST_LEAD for lead in leads)
    return behind <= sum(abs(lead) >= LEAST_LEAD for lead in leads) // 4


def pooled_reach(tensors: Sequence[TensorReading]) -> ChangeReach:
    """How far the elements off the replay lie, all tensors together."""
    found = [t.replay.reach for t in tensors if t.replay and not isinstance(t.replay.reach, Absent)]
    return ChangeReach(
        elements=sum(r.elements for r in found),
        off=sum(r.off for r in found),
        beyond_arithmetic=sum(r.beyond_arithmetic for r in found),
        beyond_one_rounding=sum(r.beyond_one_rounding for r in found),
        expected_beyond=sum(r.expected_beyond for r in found),
    )


def beyond_rounding(reach: ChangeReach) -> tuple[bool, str]:
    """Can no rounding, of whatever arithmetic, explain how far the elements lie? With the reason."""
    far = clopper_pearson(reach.beyond_arithmetic, max(reach.elements, 1), level=0.98)[0]
    near = clopper_pearson(reach.beyond_one_rounding, max(reach.off, 1), level=0.98)[0]
    expected = reach.expected_beyond / max(reach.off, 1)
    stepped = reach.off >= LEAST_OFF and expected > 0 and near >= BEYOND_STEP_RATIO * expected
    sentence = (
        f"of {reach.off:,} sampled elements off the replay, {reach.beyond_one_rounding:,} lie farther "
        f"from the blend than one intermediate rounding reaches (were each moved by one grid step, "
        f"{reach.expected_beyond:,.0f} would), {reach.beyond_arithmetic:,} farther than all roundings "
        f"of a 16-bit arithmetic together"
    )
    return far > BEYOND_SHARE or stepped, sentence


def _compared(reading: TensorReading) -> bool:
    return not isinstance(reading.tested, Absent)


def _weigh_rivals(
    sentence: str,
    rounding: bool,
    grid: bool,
    passing: Sequence[TensorReading],
    judged: Sequence[TensorReading],
) -> tuple[ExcludedCause, ...]:
    far: str | Absent = sentence if rounding else Absent(sentence)
    on_grid: str | Absent = (
        f"{len(passing)} of {len(judged)} matrices sit on the grid of the stored blend, which "
        f"another parent would move"
        if grid
        else Absent(f"only {len(passing)} of {len(judged)} matrices sit on the grid of the stored blend")
    )
    reasons = (far, far, far, on_grid)
    return tuple(ExcludedCause(r, why) for r, why in zip(RIVALS, reasons, strict=True))


def _comparisons(tensors: Sequence[TensorReading]) -> list[tuple[TensorReading, Tested]]:
    return [(t, tested) for t in tensors if not isinstance(tested := t.tested, Absent)]


def pooled_sigma(tensors: Sequence[TensorReading]) -> Estimate | Absent:
    """Median over matrices of the change's root mean square over the weights' spread; the interval is that
    of the median (order statistics), each matrix taken at the far end of its own."""
    sizes = [
        (size / t.tensor.spread, Z * error / t.tensor.spread)
        for t, c in _comparisons(tensors)
        if t.tensor.spread
        for size, error in (size_of_change(c),)
    ]
    if not sizes:
        return Absent("no matrix carries a measurable change")
    n = len(sizes)
    half = Z * (n**0.5) / 2
    first, last = max(0, int(n / 2 - half)), min(n - 1, int(n / 2 + half))
    lows, highs = sorted(s - e for s, e in sizes), sorted(s + e for s, e in sizes)
    return Estimate(median(s for s, _ in sizes), max(lows[first], 0.0), highs[last], LEVEL)


def pooled_weights(
    tensors: Sequence[TensorReading], parents: Sequence[int]
) -> tuple[Estimate | Absent, ...]:
    """One weight a parent for all matrices that carry the blend: Hartung-Knapp over their estimates, and
    no wider than the matrices' own intervals together, which two matrices' Hartung-Knapp may be.
    """
    rows = [row for t in tensors if passes_later_change(t.tested) and (row := _row(t, parents))]
    if not rows:
        return tuple(Absent("no matrix has an interval for its weight") for _ in parents)
    if len(rows) == 1 and len(parents) > 2:
        # Recipes such as .5 : .3 : .2 and .5 : .2 : .3 may both stand alone in one matrix.
        return tuple(Absent("one matrix alone tells so many parents' weights apart") for _ in parents)
    return tuple(_pooled(column) for column in zip(*rows, strict=True))


_Read = tuple[float, float, float]
"""A weight on one tensor and the ends of its interval."""


def _pooled(column: Sequence[_Read]) -> Estimate:
    variances = [((high - low) / (2 * Z)) ** 2 for _, low, high in column]
    pooled = hartung_knapp([w for w, _, _ in column], variances, level=LEVEL)
    low, high = min(low for _, low, _ in column), max(high for _, _, high in column)
    return Estimate(pooled.estimate, max(pooled.low, low), min(pooled.high, high), LEVEL)


def _row(reading: TensorReading, parents: Sequence[int]) -> list[_Read]:
    """Each parent's weight and interval on one tensor; empty where there is no interval."""
    tested = reading.tested
    if isinstance(tested, Absent):
        return []
    mixture, found = reading.mixture, reading.weight_set
    if isinstance(tested, Comparison):
        low, high = tested.alpha_low, tested.alpha_high
        if mixture is None or isinstance(low, Absent) or isinstance(high, Absent):
            return []
        first = _wide_enough(tested.alpha, low, high)
        known = {mixture.first: first, mixture.second: (1.0 - first[0], 1.0 - first[2], 1.0 - first[1])}
    else:
        places = () if found is None else found.parents
        ends = zip(tested.weights, tested.low, tested.high, strict=True)
        known = {p: _wide_enough(*end) for p, end in zip(places, ends, strict=True)}
    return [known[p] for p in parents] if set(parents) == set(known) else []


def _wide_enough(weight: float, low: float, high: float) -> _Read:
    # Scales by row may put the interval beside the weight that was best under one scale for all.
    low, high = min(low, weight), max(high, weight)
    # An isolated maximum has an interval of no width; its float32 form is not that exact.
    missing = max(LEAST_WIDTH - (high - low), 0.0) / 2.0
    return weight, low - missing, high + missing
