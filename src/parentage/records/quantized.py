"""What replaying quantisers showed: codes of the suspect that other models, and blends, would have got."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = [
    "AllowedWeights",
    "BlendReplay",
    "CodedTensor",
    "Quantized",
    "QuantizedBlend",
    "QuantizedControl",
    "ReplayedCodes",
]


NOT_ASKED = Absent("not asked")


@dataclass(frozen=True, slots=True)
class CodedTensor:
    """One tensor of codes. ``matches[i]``, ``scale_matches[i]``: how many of its ``codes`` and ``scales``
    model i + 1 gets under ``quantizer``, the rule under which the best model gets most.

    ``scales``: 0 where no whole block was read. ``scale_rule``: what made the stored scales from the
    best model's blocks. ``moved_matches``: codes that the best model still gets when every weight of it
    is moved by ``moved`` standard deviations of the tensor's weights. ``moved_scale_matches``: the same
    of scales that go with their codes. ``step``: between the values of
    neighbouring codes, mean, in these standard deviations.
    """

    name: str
    stored_as: str
    quantizer: str
    codes: int
    present: tuple[int, ...]
    matches: tuple[int, ...]
    scales: int
    scale_matches: tuple[int, ...]
    scale_rule: str
    moved: float
    moved_matches: int
    step: float
    moved_scale_matches: int | Absent = NOT_ASKED


@dataclass(frozen=True, slots=True)
class ReplayedCodes:
    """A blend, quantised, on one tensor; ``informative``: codes in which its parents differ.

    ``moved_matches``: codes that the blend still gives with every number moved off it by a tenth of the
    parents' own spread around it. ``weights``: where the tensor has its own.
    """

    name: str
    codes: int
    matches: int
    informative: int
    informative_matches: int
    moved_matches: int | Absent = NOT_ASKED
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class BlendReplay:
    """The simplest blend whose codes are the suspect's. ``stored``: the dtype that it was rounded to before
    it was quantised; ``indistinguishable``: weights, arithmetic and dtype, in words, that give the same,
    and ``stored_alike`` the dtypes under which these weights do."""

    weights: tuple[float, ...]
    label: str
    arithmetic: str
    stored: str
    indistinguishable: tuple[str, ...]
    tensors: tuple[ReplayedCodes, ...]
    stored_alike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuantizedControl:
    """A control quantised as the suspect is: the share of its informative codes that one weight allows, and
    the share of its codes that the suspect's blend gives."""

    model: int
    consistency: float
    match: float | Absent


@dataclass(frozen=True, slots=True)
class AllowedWeights:
    """Weights of the first parent that every one of a tensor's ``informative`` codes allows."""

    name: str
    informative: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QuantizedBlend:
    """Weights of ``parents[0]``, the rest being ``parents[1]``'s, that the codes allow: each code stands
    for an interval of numbers. ``low``, ``high``: what every code of every tensor allows at once.

    ``ranges``: of more parents, or of two that need not sum to one, each weight's exact range over the
    codes that were asked. ``by_tensor``: tensors whose codes, all of them, allow weights by themselves,
    where not all tensors allow one; ``off``: those with enough codes that allow none.
    """

    parents: tuple[int, ...]
    informative: int
    consistent: int
    low: float | Absent
    high: float | Absent
    replay: BlendReplay | Absent
    controls: tuple[QuantizedControl, ...]
    ranges: tuple[tuple[float, float], ...] = ()
    by_tensor: tuple[AllowedWeights, ...] = ()
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quantized:
    """``unknown``: formats of tensors of codes for which no quantiser is known here, with their numbers."""

    tensors: tuple[CodedTensor, ...]
    blend: QuantizedBlend | Absent
    unknown: tuple[str, ...]
