"""``linear-merge`` of a suspect that holds codes: a blend of two models, then a quantiser, code by code."""

from __future__ import annotations

from parentage.numerics.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.quantized import Quantized, QuantizedBlend
from parentage.records.report import ExcludedCause, PostTraining, Replay
from parentage.verdicts.quantized_copies import (
    ALL_CODES,
    IN_EACH,
    code_shares,
    enough_missed,
    unknown_limit,
)
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["later_change_of_codes", "replay_of_codes", "weigh_quantized_merge"]

# A control that one weight explains to this share says that the codes are too coarse to tell.
CONTROL_SHARE = 0.999
CERTAIN, LEVEL = 1.0, 0.95


def weigh_quantized_merge(readings: Readings) -> Weighing | None:
    """``linear-merge`` of two models, quantised afterwards: every code of every tensor, and from no single
    model."""
    found = readings.evidence.quantized
    if isinstance(found, Absent) or isinstance(found.blend, Absent):
        return None
    against = _objection_to_blend(readings, found, found.blend)
    if against:
        return Weighing("linear-merge", Status.UNDETERMINED, against=against)
    replay = found.blend.replay
    assert not isinstance(replay, Absent)
    codes, matches = sum(t.codes for t in replay.tensors), sum(t.matches for t in replay.tensors)
    single = code_shares(readings)[0]
    reason = (
        f"the blend {replay.label}, quantised, gives {matches:,} of {codes:,} codes; of single models "
        f"{readings.name(single.model)} gives most, {single.share:.2%}"
    )
    return Weighing(
        "linear-merge",
        Status.SUPPORTED,
        models=found.blend.parents,
        excluded=tuple(
            (r, reason) for r in ("quantized-copy", "fine-tune", "shared-ancestor", "independent")
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
    tensors = blend.replay.tensors
    codes, matches = sum(t.codes for t in tensors), sum(t.matches for t in tensors)
    lowest = min((t.matches / t.codes for t in tensors if t.codes), default=0.0)
    if matches < ALL_CODES * codes or lowest < IN_EACH:
        return (
            f"the blend {blend.replay.label}, quantised, gives {matches / max(codes, 1):.3%} of the codes"
        )
    close = [s for s in code_shares(readings) if not enough_missed(s.missed, codes - matches)]
    if close:
        return f"{readings.name(close[0].model)} alone gives as many of the codes"
    if any(c.consistency >= CONTROL_SHARE for c in blend.controls):
        return "a control's codes are a blend of the same two as well: the format is too coarse to tell"
    weight = _weight(blend)
    if weight is None or any(weight.low <= w <= weight.high for w in (0, 1)):
        return "the codes allow a weight of nothing or of all"
    return ""


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
    if found.unknown:
        limits.append(
            f"No quantiser is known here for {', '.join(found.unknown)}: these were not replayed."
        )
    return [*limits, *unknown_limit(found)]


def _weight(blend: QuantizedBlend) -> Estimate | None:
    """The first parent's weight: what was replayed, in the range that every code allows."""
    replay, low, high = blend.replay, blend.low, blend.high
    if isinstance(replay, Absent) or isinstance(low, Absent) or isinstance(high, Absent):
        return None
    return Estimate(replay.weights[0], low, high, CERTAIN)


def _weights(blend: QuantizedBlend) -> tuple[Estimate, ...]:
    first = _weight(blend)
    if first is None:
        return ()
    return first, Estimate(1 - first.estimate, 1 - first.high, 1 - first.low, CERTAIN)


def later_change_of_codes(found: Quantized) -> PostTraining:
    """After a blend whose codes are the suspect's: nothing that moves weights by more than their steps."""
    replay = None if isinstance(found.blend, Absent) else found.blend.replay
    assert replay is not None
    assert not isinstance(replay, Absent)
    total = sum(t.informative for t in replay.tensors)
    off = total - sum(t.informative_matches for t in replay.tensors)
    low, high = clopper_pearson(off, total, level=LEVEL) if total else (0.0, 1.0)
    share = Estimate(off / max(total, 1), low, high, LEVEL)
    size = Absent("codes are coarser than what training leaves: their number is told, not its size")
    seen = f"{total:,} codes tell the parents apart; {off:,} of them are not the blend's"
    if off:
        rivals = (
            ExcludedCause("another compiler's rounding in the quantiser", Absent("a few codes differ")),
        )
        return PostTraining("undetermined", size, share, rivals, seen)
    why = "every code is that of the unchanged blend"
    return PostTraining(
        "not-detected", size, share, (ExcludedCause("training after the merge", why),), seen
    )
