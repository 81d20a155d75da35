"""``quantized-copy``: the suspect's codes are those that one model's numbers are given by a quantiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.evidence import TensorEvidence
from parentage.records.quantized import CodedTensor, Quantized
from parentage.verdicts.beside.layers import layers_told
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = [
    "ALL_CODES",
    "IN_EACH",
    "CodeShare",
    "code_shares",
    "enough_missed",
    "weigh_quantized_copy",
]

# What one compiler fuses another rounds: a quantiser's codes may differ in a few of a million, and no model
# that differs by training comes near (real fine-tunes: 94 % and 80 % in 8 bits).
ALL_CODES = 0.9999
# In any single tensor.
IN_EACH = 0.999
# A rival must miss at least so many times what the model named misses, and at least so many codes.
TIMES, LEAST_MISSED = 20, 20


@dataclass(frozen=True, slots=True)
class CodeShare:
    """Codes of one model over all tensors in which it is present; ``lowest`` share of a tensor."""

    model: int
    codes: int
    matches: int
    lowest: float
    tensors: int

    @property
    def share(self) -> float:
        """Of the codes compared."""
        return self.matches / self.codes if self.codes else 0.0

    @property
    def missed(self) -> int:
        """Codes that the model would not have been given."""
        return self.codes - self.matches


def code_shares(readings: Readings) -> tuple[CodeShare, ...]:
    """Every model's share of the suspect's codes, best first."""
    found = readings.evidence.quantized
    if isinstance(found, Absent):
        return ()
    rows = [_share(found.tensors, model) for model in readings.others]
    return tuple(sorted((r for r in rows if r.codes), key=lambda r: (-r.share, r.model)))


def _share(tensors: Sequence[CodedTensor], model: int) -> CodeShare:
    own = [t for t in tensors if model in t.present and t.codes]
    lowest = min((t.matches[model - 1] / t.codes for t in own), default=0.0)
    return CodeShare(
        model, sum(t.codes for t in own), sum(t.matches[model - 1] for t in own), lowest, len(own)
    )


def weigh_quantized_copy(readings: Readings) -> Weighing | None:
    """Supported when one model gets every code of every tensor, all other models miss many, and what is not
    coded is that model's too."""
    shares = code_shares(readings)
    found = readings.evidence.quantized
    if not shares or isinstance(found, Absent):
        return None
    best, rivals = shares[0], shares[1:]
    against = _objection(readings, found, best, rivals)
    if against:
        return Weighing("quantized-copy", Status.UNDETERMINED, models=(best.model,), against=against)
    reason = _reason(readings, found, best, rivals)
    return Weighing(
        "quantized-copy",
        Status.SUPPORTED,
        # A merge with a twentieth of another model, or a checkpoint near the end, may have the same codes.
        sentence=f"is {readings.name(best.model)}, quantised, or a model within {_reach(found, best):.1e} "
        f"standard deviations of it: a quantiser gives its codes from those weights",
        models=(best.model,),
        excluded=tuple(
            (r, reason) for r in ("linear-merge", "fine-tune", "shared-ancestor", "independent")
        ),
        limits=tuple(_limits(readings, found, best, rivals)),
    )


def _objection(readings: Readings, found: Quantized, best: CodeShare, rivals: Sequence[CodeShare]) -> str:
    name = readings.name(best.model)
    if told := layers_told(readings, best.model):
        return f"the suspect's layers are not simply those of {name}, number by number: {told}"
    if best.share < ALL_CODES or best.lowest < IN_EACH:
        return (
            f"{name}, the best, gives {best.share:.3%} of {best.codes:,} codes "
            f"({best.lowest:.2%} in the tensor that fits least); a copy gives all of them"
        )
    return _rivals_objection(readings, found, best, rivals) or _rest_objection(readings, found, best)


def _rivals_objection(
    readings: Readings, found: Quantized, best: CodeShare, rivals: Sequence[CodeShare]
) -> str:
    name = readings.name(best.model)
    close = [r for r in rivals if not enough_missed(r.missed, best.missed)]
    if close:
        others = ", ".join(readings.name(r.model) for r in close)
        return f"{others} would have been given the same codes as {name}: the format is too coarse to tell"
    if not _moved_is_seen(found, best):
        return (
            f"a model a thousandth of a standard deviation from {name} would have been given the same codes"
        )
    return ""


def _rest_objection(readings: Readings, found: Quantized, best: CodeShare) -> str:
    """What was not replayed: tensors without counterpart, plain numbers, unknown formats."""
    name = readings.name(best.model)
    if len(found.tensors) > best.tensors:
        return f"{len(found.tensors) - best.tensors} tensors of codes have no counterpart in {name}"
    plain = _plain_differ(readings, best.model)
    if plain:
        return f"{len(plain)} tensors that are not codes differ from {name}'s (the first is {plain[0]})"
    if 2 * sum(t.elements for t in _counted(readings, found)) < readings.evidence.coverage.elements:
        return "less than half of the weights could be replayed"
    return ""


def _moved_is_seen(found: Quantized, best: CodeShare) -> bool:
    moved = sum(t.codes - t.moved_matches for t in found.tensors)
    if enough_missed(moved, best.missed):
        return True
    # Numbers in the middle of their cells keep their codes when moved; the scales, in eleven bits, change.
    told = [t for t in found.tensors if t.scales and not isinstance(t.moved_scale_matches, Absent)]
    scales, own = sum(t.scales for t in told), sum(t.scale_matches[best.model - 1] for t in told)
    lost = sum(t.scales - t.moved_scale_matches for t in told if isinstance(t.moved_scale_matches, int))
    return own >= ALL_CODES * scales and enough_missed(lost, scales - own)


def enough_missed(rival: int, best: int) -> bool:
    """Whether a rival misses so many codes more than the best explanation that the two are told apart."""
    return rival >= max(LEAST_MISSED, TIMES * best)


def _plain_differ(readings: Readings, model: int) -> list[str]:
    """Tensors stored as plain numbers that are not the model's, as they are or rounded."""
    coded = _names(readings)
    return [
        t.name
        for t in readings.evidence.tensors
        if t.name not in coded
        and model in t.present
        and t.finite
        and not _is_block_format(t)
        and t.cast_equal[model - 1] < t.finite
    ]


def _is_block_format(tensor: TensorEvidence) -> bool:
    """Codes for which no quantiser is known: told as a limit."""
    return tensor.dtypes[0] not in ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


def _names(readings: Readings) -> set[str]:
    found = readings.evidence.quantized
    return set() if isinstance(found, Absent) else {t.name for t in found.tensors}


def _counted(readings: Readings, found: Quantized) -> list[TensorEvidence]:
    """Tensors that were replayed, or that are plain numbers."""
    coded = {t.name for t in found.tensors}
    return [t for t in readings.evidence.tensors if t.name in coded or not _is_block_format(t)]


def _reason(readings: Readings, found: Quantized, best: CodeShare, rivals: Sequence[CodeShare]) -> str:
    rules = sorted({t.quantizer for t in found.tensors})
    told = (
        f"{readings.name(best.model)} gives {best.matches:,} of {best.codes:,} codes "
        f"({best.share:.4%}; {'; '.join(rules)})"
    )
    if not rivals:
        return told
    others = ", ".join(f"{readings.name(r.model)} {r.share:.2%}" for r in rivals[:4])
    return f"{told}; the others: {others}"


def _reach(found: Quantized, best: CodeShare) -> float:
    """How far a model may lie, on the mean and in standard deviations, that would have the same codes."""
    step = sum(t.step * t.codes for t in found.tensors) / max(1, sum(t.codes for t in found.tensors))
    # A shift of d changes d / step of the codes: none of n changed bounds d by 3 steps / n at 95 %.
    return step * (3 + best.missed + 2 * math.sqrt(best.missed)) / best.codes


def _limits(
    readings: Readings, found: Quantized, best: CodeShare, rivals: Sequence[CodeShare]
) -> list[str]:
    name = readings.name(best.model)
    limits = [
        f"A model within about {_reach(found, best):.1e} standard deviations of {name} (mean over its "
        f"weights) would have been given the same codes."
    ]
    moved = sum(t.moved_matches for t in found.tensors) / max(1, sum(t.codes for t in found.tensors))
    if not rivals:
        limits.append(
            f"No other model was replayed. With weights a thousandth of a standard deviation away, {name} "
            f"would have given {moved:.2%} of the codes."
        )
    unscaled = sum(not t.scales for t in found.tensors)
    if unscaled:
        limits.append(
            f"In {unscaled} tensors scales were taken as stored: they were not derived from {name}."
        )
    return limits
