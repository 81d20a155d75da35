"""Recipes that give the probe's every bit alike: the other tensors may tell them apart.

Two tools that compute one method alike may still keep different ones of equal magnitudes, or round another
way where a probe holds no such case: rows of an embedding that only weight decay moved have many changes of
one size. Where the first of such recipes leaves elements over, the others are replayed on those tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from parentage.evidence.recognition.replaying import drawn_before, replay_tensor
from parentage.records.recognition import MethodReplay, MethodTensor

if TYPE_CHECKING:
    from parentage.evidence.recognition.context import Context
    from parentage.evidence.recognition.search import Scored

__all__ = ["better_alike"]


def better_alike(found: MethodReplay, alike: Sequence[Scored], context: Context) -> Scored | None:
    """The recipe that gives more of the tensors in which ``found`` leaves elements over, the most of all;
    None where none does or nothing is left over."""
    off = sorted(
        (t for t in found.tensors if t.matches < t.informative), key=lambda t: (t.elements, t.name)
    )
    best, most = None, sum(t.matches for t in off)
    for scored in alike:
        matches = _matches(scored, off, context, most)
        if matches > most:
            best, most = scored, matches
    return best


def _matches(scored: Scored, off: Sequence[MethodTensor], context: Context, most: int) -> int:
    """Elements given in all of these tensors; given up once it cannot be more than ``most``."""
    drawn = drawn_before(scored.candidate, context)
    possible = total = sum(t.informative for t in off)
    for tensor in off:
        counted = replay_tensor(scored.candidate, tensor.name, context, drawn=drawn.get(tensor.name, 0))
        given = 0 if counted is None else counted.matches
        possible -= tensor.informative - given
        if possible <= most:
            return 0
    return min(possible, total)
