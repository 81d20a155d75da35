"""A place on a line in sentences, which every report says alike."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.records.absence import Absent
from parentage.records.interview import Line

__all__ = ["line_words"]

OLD = "by a version whose interval holds the chance of the beginnings alone"


def line_words(found: Line) -> Iterator[str]:
    """Where next tokens fall or why nowhere, what was compared, and what the runtime does; no names."""
    ends = {p.weight: p.divergence for p in found.points}
    least = min(ends.values())
    away = (
        f"divergence {least:.4g} there, {ends.get(1.0, least):.4g} at the first, "
        f"{ends.get(0.0, least):.4g} at the second"
    )
    if isinstance(found.weight, Absent):
        nearest = min(found.points, key=lambda p: p.divergence).weight
        at = nearest if isinstance(found.nearest, Absent) else found.nearest
        yield (
            f"no place is told, for {found.weight.reason}; the nearest blend has {at:.2f} of the first "
            f"({away})"
        )
    else:
        at, low, high = found.weight.estimate, found.weight.low, found.weight.high
        old = "" if found.how else f", {OLD}"
        yield (
            f"next tokens fall at a weight of {at:.2f} ({low:.2f} to {high:.2f}) of the first{old}: {away}"
        )
    if found.how:
        yield f"points of the line: {found.how}{', as the suspect is' if found.alike else ''}"
    for offset in found.offsets:
        yield (
            f"{offset.label}, whose weight is {offset.weight:g}, asked as the suspect was, falls at "
            f"{offset.found.estimate:.2f} ({offset.found.low:.2f} to {offset.found.high:.2f})"
        )
