"""``linear-merge`` of a suspect that holds codes: a blend of two models, then a quantiser, code by code."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.quantized import BlendReplay, Quantized, QuantizedBlend, ReplayedCodes
from parentage.records.report import ExcludedCause, PostTraining, Replay
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.quantized_copies import (
    ALL_CODES,
    IN_EACH,
    code_shares,
    enough_missed,
)
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["later_change_of_codes", "replay_of_codes", "weigh_quantized_merge"]

# A control that one weight explains to this share says that the codes are too coarse to tell.
CONTROL_SHARE = 0.999
# A control of which more than this share of tensors are blends by themselves.
PARTS_SHARE = 0.05
CERTAIN, LEVEL = 1.0, 0.95


def weigh_quantized_merge(readings: Readings) -> Weighing | None:
    """``linear-merge``, quantised afterwards: every code of every tensor, or of most, and from no single
    model."""
    found = readings.evidence.quantized
    if isinstance(found, Absent) or isinstance(found.blend, Absent):
        return None
    against = _objection_to_blend(readings, found, found.blend)
    if against:
        return Weighing("linear-merge", Status.UNDETERMINED, against=against)
    replay = found.blend.replay
    assert not isinstance(replay, Absent)
    rows = _inside(found.blend, replay)
    codes, matches = sum(t.codes for t in rows), sum(t.matches for t in rows)
    single = code_shares(readings)[0]
    told = _label(found.blend, replay)
    reason = (
        f"the blend {told}, quantised, gives {matches:,} of {codes:,} codes; of single models "
        f"{readings.name(single.model)} gives most, {single.share:.2%}"
    )
    return Weighing(
        "linear-merge",
        Status.SUPPORTED,
        models=found.blend.parents,
        excluded=(
            *((r, reason) for r in ("quantized-copy", "fine-tune", "shared-ancestor", "independent")),
            ("same-run-checkpoint", _off_line_told(rows)),
        ),
        limits=tuple(_blend_limits(readings, found)),
        weights=_weights(found.blend),
        afterwards=f"quantised afterwards ({', '.join(sorted({t.stored_as for t in found.tensors}))})",
    )


def replay_of_codes(readings: Readings) -> Replay | Absent:
    """The blend and its quantiser, as the report shows a replay: matches are of codes."""
    found = readings.evidence.quantized
    blend = Absent("no codes") if isinstance(found, Absent) else found.blend
    if isinstance(blend, Absent) or isinstance(blend.replay, Absent):
        return Absent("no blend of codes was replayed")
    own = blend.replay
    informative = sum(t.informative for t in own.tensors)
    matches = sum(t.informative_matches for t in own.tensors)
    return Replay(
        method="linear",
        arithmetic=own.arithmetic,
        match=matches / informative if informative else 0.0,
        informative_elements=informative,
        parameters={
            "parents": [readings.name(i) for i in blend.parents],
            "weights": list(own.weights),
            "label": own.label,
            "cast": "as-stored",
            "stored_before_the_quantiser": own.stored,
            "established": True,
            "all_elements": False,
            "indistinguishable": [],
            "same_codes": list(own.indistinguishable),
        },
        alternatives=(),
    )


def _objection_to_blend(readings: Readings, found: Quantized, blend: QuantizedBlend) -> str:
    if isinstance(blend.replay, Absent):
        share = blend.consistent / max(blend.informative, 1)
        return f"no one weight is allowed by all codes (by {share:.2%} of {blend.informative:,} at most)"
    tensors = _inside(blend, blend.replay)
    codes, matches = sum(t.codes for t in tensors), sum(t.matches for t in tensors)
    lowest = min((t.matches / t.codes for t in tensors if t.codes), default=0.0)
    if matches < ALL_CODES * codes or lowest < IN_EACH:
        return (
            f"the blend {blend.replay.label}, quantised, gives {matches / max(codes, 1):.3%} of the codes"
        )
    return _rival_to_blend(readings, blend, tensors, codes - matches)


def _rival_to_blend(
    readings: Readings, blend: QuantizedBlend, tensors: Sequence[ReplayedCodes], missed: int
) -> str:
    """What else would have had these codes."""
    close = [s for s in code_shares(readings) if not enough_missed(s.missed, missed)]
    if close:
        return f"{readings.name(close[0].model)} alone gives as many of the codes"
    if not _off_line_is_seen(tensors):
        return (
            "what lies a tenth of its parents' spread off their line, as averages and checkpoints of a "
            "training run do, would have nearly the same codes: the format is too coarse to tell"
        )
    if any(c.consistency >= (PARTS_SHARE if blend.by_tensor else CONTROL_SHARE) for c in blend.controls):
        return "a control's codes are a blend of the same models as well: the format is too coarse to tell"
    weights = _weights(blend)
    # Of more parents each has a share: those that may have none were left out before.
    if not weights or any(w.low <= 0 <= w.high for w in weights):
        return "the codes allow a weight of nothing or of all"
    return ""


def _inside(blend: QuantizedBlend, replay: BlendReplay) -> list[ReplayedCodes]:
    """The tensors that are said to be blends."""
    return [t for t in replay.tensors if t.name not in blend.off]


def _off_line_is_seen(tensors: Sequence[ReplayedCodes]) -> bool:
    """Would something near the blend, and off its parents' line, have had other codes?"""
    told = [t for t in tensors if not isinstance(t.moved_matches, Absent)]
    moved = sum(t.codes - t.moved_matches for t in told if isinstance(t.moved_matches, int))
    return enough_missed(moved, sum(t.codes - t.matches for t in told))


def _off_line_told(rows: Sequence[ReplayedCodes]) -> str:
    moved = sum(t.codes - t.moved_matches for t in rows if isinstance(t.moved_matches, int))
    missed = sum(t.codes - t.matches for t in rows)
    return (
        f"{missed:,} codes are not the blend's; were it a tenth of its parents' spread off their line, as "
        f"checkpoints and averages of a run are, {moved:,} would not be"
    )


def _label(blend: QuantizedBlend, replay: BlendReplay) -> str:
    own = sorted({t.weights[0] for t in replay.tensors if t.weights and t.name not in blend.off})
    if not own:
        return replay.label
    return f"with a weight of {own[0]:g} to {own[-1]:g} of the first, by tensor"


def _blend_limits(readings: Readings, found: Quantized) -> list[str]:
    blend = found.blend
    assert not isinstance(blend, Absent)
    assert not isinstance(blend.replay, Absent)
    limits = [
        "Seen through the codes of a quantised copy: what is smaller than their steps, and happened after "
        "the merge, is not seen.",
        "An author may blend a fine-tune with its own base (WiSE-FT): this is the same arithmetic, and "
        "weights do not say who did it.",
    ]
    if blend.replay.indistinguishable:
        limits.append(
            f"{len(blend.replay.indistinguishable)} or more other recipes give the same codes: the "
            f"arithmetic before the quantiser is not told."
        )
    if blend.off:
        limits.append(
            f"{len(blend.off)} tensors, such as {blend.off[0]}, are not that blend, quantised: they were "
            f"changed afterwards or come from elsewhere."
        )
    return limits


def _weights(blend: QuantizedBlend) -> tuple[Estimate, ...]:
    """Every parent's weight: what was replayed, in the range that every code allows."""
    replay, low, high = blend.replay, blend.low, blend.high
    if isinstance(replay, Absent):
        return ()
    if blend.ranges:
        ends = zip(replay.weights, blend.ranges, strict=True)
        return tuple(Estimate(w, min(a, w), max(b, w), CERTAIN) for w, (a, b) in ends)
    if isinstance(low, Absent) or isinstance(high, Absent):
        return _spread(blend, replay)
    first = Estimate(replay.weights[0], low, high, CERTAIN)
    return first, Estimate(1 - first.estimate, 1 - first.high, 1 - first.low, CERTAIN)


def _spread(blend: QuantizedBlend, replay: BlendReplay) -> tuple[Estimate, ...]:
    """Weights that differ by tensor: their median, and from the least to the largest."""
    own = [t.weights[0] for t in _inside(blend, replay) if t.weights]
    if not own:
        return ()
    first = Estimate(median(own), min(own), max(own), CERTAIN)
    return first, Estimate(1 - first.estimate, 1 - first.high, 1 - first.low, CERTAIN)


def later_change_of_codes(found: Quantized) -> PostTraining:
    """After a blend whose codes are the suspect's: nothing that moves weights by more than their steps."""
    replay = None if isinstance(found.blend, Absent) else found.blend.replay
    assert replay is not None
    assert not isinstance(replay, Absent)
    total = sum(t.informative for t in replay.tensors)
    off = total - sum(t.informative_matches for t in replay.tensors)
    blend = found.blend
    assert not isinstance(blend, Absent)
    low, high = clopper_pearson(off, total, level=LEVEL) if total else (0.0, 1.0)
    share = Estimate(off / max(total, 1), low, high, LEVEL)
    size = Absent("codes are coarser than what training leaves: their number is told, not its size")
    seen = f"{total:,} codes tell the parents apart; {off:,} of them are not the blend's"
    if off:
        rivals = (
            ExcludedCause("another compiler's rounding in the quantiser", Absent("a few codes differ")),
        )
        if blend.off:
            alike = Absent("through codes a change of them and another origin look alike")
            rivals = (ExcludedCause(f"another origin of {len(blend.off)} tensors", alike),)
        return PostTraining("undetermined", size, share, rivals, seen)
    why = "every code is that of the unchanged blend"
    return PostTraining(
        "not-detected", size, share, (ExcludedCause("training after the merge", why),), seen
    )
