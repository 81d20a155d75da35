"""Which tensors a slight training left alone: those of an adapter's base are equal in every number.

An adapter changes the matrices that it was put on and nothing else; training of a whole model moves the
embedding as well. Where rounding to 16 bits took the change's rank away, this is all that is left of an
adapter to be seen. A training of these matrices alone leaves it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from parentage.records.recognition import Recognition
from parentage.verdicts.readings import Readings, is_matrix
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["left_alone_words", "weigh_left_alone"]

# Fewer changed matrices may be changed by chance of what was looked at.
LEAST = 6
# Of the energy that rounding alone leaves: below, a change's rank is not read (as in methods.low_rank).
READ = 0.5


@dataclass(frozen=True, slots=True)
class _Left:
    """Against one model: how many matrices of layers changed, of how many, and how many vectors did not,
    though all were looked at; nor did the embedding."""

    model: int
    changed: int
    matrices: int
    vectors: int


def weigh_left_alone(readings: Readings) -> Weighing | None:
    """Never supported: an adapter of the nearest model, or a training of these matrices alone."""
    left = _left(readings)
    if left is None:
        return None
    name, what = readings.name(left.model), _what(readings, left)
    return Weighing(
        "adapter-fine-tune",
        Status.UNDETERMINED,
        models=(left.model,),
        live=(
            ("adapter-fine-tune", f"an adapter merged into {name}: {what}{_unread(readings, left.model)}"),
            ("fine-tune", f"a training of these matrices of {name} alone"),
        ),
        against=what,
    )


def left_alone_words(readings: Readings) -> str:
    """The same in short, for the verdict's sentence; empty where there is none."""
    left = _left(readings)
    if left is None:
        return ""
    return (
        f"; {_what(readings, left)}, as an adapter merged into them or a training of them alone leaves it"
    )


def _what(readings: Readings, left: _Left) -> str:
    count = "all" if left.changed == left.matrices else f"{left.changed} of"
    own = f"{count} {left.matrices} matrices of its layers differ from those of {readings.name(left.model)}"
    beside = "its embedding is"
    if left.vectors:
        beside = f"its embedding and {left.vectors} vector{'s' if left.vectors > 1 else ''} are"
    return f"{own}, and {beside} equal in every number examined"


def _left(readings: Readings) -> _Left | None:
    if not readings.related:
        return None
    model = readings.related[0]
    shared = [t for t in readings.evidence.tensors if model in t.present and t.finite]
    whole = [t for t in shared if t.equal[model - 1] == t.finite]
    inner = [t for t in shared if is_matrix(t) and t.component not in ("embedding", "head")]
    changed = [t for t in inner if t.equal[model - 1] < t.finite]
    embedded = any(t.component == "embedding" for t in whole)
    if len(changed) < LEAST or not embedded or len(changed) + len(whole) < len(shared):
        return None
    return _Left(model, len(changed), len(inner), sum(not is_matrix(t) for t in whole))


def _unread(readings: Readings, model: int) -> str:
    """Why its rank says nothing, where rounding took it away."""
    found = readings.evidence.recognition
    rows = [
        row["share"]
        for f in (found.findings if isinstance(found, Recognition) else ())
        if f.kind == "low-rank" and f.models[1:2] == (model,)
        for row in f.measures["rows"]
    ]
    if not rows or median(rows) >= READ:
        return ""
    return (
        f"; the change has {median(rows):.1%} of the energy that rounding alone leaves, so that its rank "
        f"is not seen, whatever is read: the same weights stored in 32 bits would show it"
    )
