"""Do two tensors of one name have one shape, perhaps the other way round?"""

from __future__ import annotations

from dataclasses import replace

from parentage.architectures.counterparts import Match, turn, unreadable
from parentage.architectures.naming import Holder, Naming
from parentage.records.absence import Absent
from parentage.records.tensors import TensorRef

__all__ = ["fit_shape", "wants_turning"]


def wants_turning(mine: Naming, theirs: Naming) -> bool:
    """Are the other model's matrices stored the other way round?

    Read from those that are not square, of equal names: at least one meets only when turned, and none as
    it is. Square ones cannot say it of themselves.
    """
    turned = False
    for name, own in mine.holders.items():
        other = theirs.holders.get(name)
        if other is None or not own.held.part.linear or not _oblong(own.ref):
            continue
        if other.ref.shape == own.ref.shape:
            return False
        turned = turned or other.ref.shape == own.ref.shape[::-1]
    return turned


def _oblong(ref: TensorRef) -> bool:
    return len(ref.shape) == 2 and ref.shape[0] != ref.shape[1]


def fit_shape(own: Holder, match: Match, turned: bool) -> Match | Absent:
    """The match if its shape and kind are the suspect's; turned where only that makes them so."""
    shape = own.ref.shape[::-1] if own.turned else own.ref.shape
    found = match.ref
    square = len(shape) == 2 and shape[0] == shape[1]
    linear = own.held.part.linear or not own.held.known
    flip = found.shape != shape and len(shape) == 2 and found.shape[::-1] == shape and linear
    if flip or (square and turned and own.held.part.linear):
        other_way = turn(found)
        if isinstance(other_way, Absent):
            return other_way
        unread = unreadable(other_way)
        if unread is not None:
            return unread
        match = replace(match, ref=other_way, how=" and ".join(filter(None, (match.how, "turned"))))
        found = other_way
    if found.shape != shape:
        return Absent(f"its shape is {list(found.shape)}, the suspect's {list(shape)}")
    if found.dtype.is_float != own.ref.dtype.is_float:
        return Absent(f"its dtype is {found.dtype.value}, the suspect's {own.ref.dtype.value}")
    return match
