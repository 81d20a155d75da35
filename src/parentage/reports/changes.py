"""The share of numbers that changed after a merge, on one scale with what trainings leave.

The scale is logarithmic: a bound of one in a million and a training that changes nine in ten would
otherwise leave nothing to see of the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from parentage.records.absence import Absent
from parentage.records.report import ExpertsSeen, PostTraining
from parentage.reports.references import MEASURED, PUBLISHED, Reference
from parentage.reports.wording import bound_text, count_text, share_text, size_text

__all__ = ["LOWEST", "Strip", "change_strips", "experts_text", "scale_labels"]

MOST_EXPERTS: Final = 12

# A whole model of 4e11 numbers bounds the share at 1e-11; smaller ones sit on the left edge.
LOWEST: Final = 1e-7
_WIDTH: Final = 100.0
_MARK: Final = 1.2


@dataclass(frozen=True, slots=True)
class Strip:
    """One row: a mark at the share, or a band up to its bound; 0 to 100 units from left to right.

    ``kind``: own (this model), measured (by this project) or published (second-hand).
    """

    label: str
    text: str
    kind: str
    mark: str
    band_from: str
    band_width: str


def change_strips(after: PostTraining) -> tuple[Strip, ...]:
    """This model first, when it was measured, then published trainings and those measured here."""
    return (
        *_own(after),
        *(_reference(r, "published") for r in PUBLISHED),
        *(_reference(r, "measured") for r in MEASURED),
    )


def scale_labels() -> tuple[str, ...]:
    """The decades of the scale from its left end, each as far from the next; the right end is all."""
    decades = round(-math.log10(LOWEST))
    return tuple(f"{100 * LOWEST * 10**k:.{max(0, decades - 2 - k)}f} %" for k in range(decades))


def _own(after: PostTraining) -> tuple[Strip, ...]:
    share = after.changed_share
    if isinstance(share, Absent):
        return ()
    low, high = _at(share.low), _at(share.high)
    if share.estimate == 0:
        text = f"none seen; at most {bound_text(share.high)}"
        return (Strip("This model", text, "own", "", _px(0.0), _px(max(_MARK, high))),)
    text = f"{share_text(share.estimate)} ({share_text(share.low)} to {share_text(share.high)})"
    return (Strip("This model", text, "own", _mark(share.estimate), _px(low), _px(max(0.0, high - low))),)


def _reference(reference: Reference, kind: str) -> Strip:
    share = reference.changed_share
    text = f"about {share_text(share)}"
    if reference.sigma_relative is not None:
        text += f", σ {size_text(reference.sigma_relative)}"
    return Strip(reference.label, text, kind, _mark(share), _px(0.0), _px(0.0))


def _at(share: float) -> float:
    """0 at the lowest share of the scale (and below it), 100 where every number changed."""
    if share <= LOWEST:
        return 0.0
    return _WIDTH * (1 - math.log10(min(1.0, share)) / math.log10(LOWEST))


def _mark(share: float) -> str:
    return _px(min(_WIDTH - _MARK, _at(share)))


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def experts_text(seen: ExpertsSeen) -> str:
    """How many experts were looked at, and which differ from the replay."""
    text = (
        f"numbers of {count_text(seen.examined)} of {count_text(seen.experts)} experts in "
        f"{count_text(seen.layers)} layers were replayed"
    )
    if not seen.changed:
        return f"{text}; none has a number off the replay"
    some = ", ".join(f"{expert} of layer {layer}" for layer, expert in seen.changed[:MOST_EXPERTS])
    rest = len(seen.changed) - MOST_EXPERTS
    more = f" and {count_text(rest)} more" if rest > 0 else ""
    return f"{text}; {count_text(len(seen.changed))} have numbers off the replay: {some}{more}"
