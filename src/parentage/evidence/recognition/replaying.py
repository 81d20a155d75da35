"""Replay a candidate on whole tensors, through the method's own rule, and count what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import FLOATS, Context
from parentage.merging.operands import Operands, pieces
from parentage.numerics.formats import ordinal, round_to, to_float32
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.recognition import (
    HOLDS,
    NO_CHANCE,
    MethodReplay,
    MethodTensor,
    Numbers,
    Recognition,
)

__all__ = [
    "Counted",
    "as_record",
    "compared",
    "control_of",
    "drawn_before",
    "replay_record",
    "replay_tensor",
]


@dataclass(slots=True)
class Counted:
    """Elements of a tensor, or of a piece of it; ``copies`` by operand, of the informative ones."""

    elements: int
    equal: int
    informative: int
    matches: int
    adjacent: int
    copies: list[int]

    @property
    def share(self) -> float:
        """Of the informative elements, those that the replay gives; 1 where nothing is informative and
        everything is equal."""
        if self.informative:
            return self.matches / self.informative
        return 1.0 if self.equal == self.elements else 0.0

    def add(self, other: Counted) -> None:
        """Another piece of the same tensor."""
        self.elements += other.elements
        self.equal += other.equal
        self.informative += other.informative
        self.matches += other.matches
        self.adjacent += other.adjacent
        self.copies = [a + b for a, b in zip(self.copies, other.copies, strict=True)]


def replay_tensor(
    candidate: Candidate,
    name: str,
    context: Context,
    *,
    subject: int = 0,
    enough: float = 0.0,
    drawn: int = 0,
) -> Counted | None:
    """Every element of one tensor, ended early once ``enough`` of its elements cannot be reached.

    None where an operand has it not, the numbers are not the method's, or the suspect stores no floats.
    """
    operands = context.operands(name, candidate.operands, candidate.base)
    own = context.operands(name, (subject,))
    if operands is None or own is None:
        return None
    stored = own.parts[0].tensor.dtype
    try:
        profile = candidate.profile(stored)
        rule = candidate.rule.prepare(operands, candidate.parameters(name, drawn), profile, name)
    except UsageError:
        # A method that refuses these operands (weights that sum to zero, directions that cancel) did not
        # make the tensor out of them.
        return None
    total = Counted(0, 0, 0, 0, 0, [0] * operands.models)
    for start, count in pieces(operands.elements, rule.granularity):
        values = operands.read(start, count)
        with np.errstate(all="ignore"):
            made = rule.apply(start, values)
        total.add(_compared(made, own.parts[0].bits(start, count), values, stored))
        missed = total.informative - total.matches
        if missed > (1 - enough) * operands.elements:
            break
    return total


def _compared(
    made: NDArray[np.unsignedinteger],
    found: NDArray[np.unsignedinteger],
    values: NDArray[np.float32],
    stored: DType,
) -> Counted:
    ours, theirs = to_float32(made, stored), to_float32(np.ascontiguousarray(found), stored)
    # Zeros of both signs are one value, and two NaN say nothing.
    finite = np.isfinite(ours) & np.isfinite(theirs) & np.isfinite(values).all(axis=0)
    equal = (ours == theirs) & finite
    copies = [to_float32(round_to(row, stored), stored) for row in values]
    differ = np.zeros(finite.size, np.bool_)
    for row in copies[1:]:
        differ |= row != copies[0]
    if len(copies) == 1:
        differ = ours != copies[0]
    informative = differ & finite
    steps = np.abs(ordinal(made, stored) - ordinal(np.ascontiguousarray(found), stored))
    return Counted(
        int(np.count_nonzero(finite)),
        int(np.count_nonzero(equal)),
        int(np.count_nonzero(informative)),
        int(np.count_nonzero(equal & informative)),
        int(np.count_nonzero(informative & ~equal & (steps == 1))),
        [int(np.count_nonzero(informative & (theirs == row))) for row in copies],
    )


def as_record(name: str, counted: Counted, own: Numbers | None, method: str = "") -> MethodTensor:
    """What is saved of one tensor."""
    return MethodTensor(
        name=name,
        elements=counted.elements,
        equal=counted.equal,
        informative=counted.informative,
        matches=counted.matches,
        adjacent=counted.adjacent,
        copies=tuple(counted.copies),
        own=HOLDS if own is None else own,
        method=method,
    )


def compared(found: Recognition | Absent) -> dict[str, int]:
    """Elements by tensor that a replay of the suspect compared."""
    if isinstance(found, Absent):
        return {}
    own = [r for r in (*found.replays, *found.parts) if r.subject == 0]
    return {t.name: t.elements for r in own for t in r.tensors}


def drawn_before(candidate: Candidate, context: Context) -> dict[str, int]:
    """Random words that a tool took before each tensor: it goes through them in lexicographic order.

    Empty for methods that draw nothing, and for our own arithmetic, where draws do not depend on order.
    """
    if candidate.rule.random is None or candidate.arithmetic.startswith("parentage"):
        return {}
    return dict(_draws(candidate, context))


def _draws(candidate: Candidate, context: Context) -> Iterator[tuple[str, int]]:
    drawn = 0
    for name in sorted(context.groups):
        yield name, drawn
        operands = context.outline(name, candidate.operands, candidate.base)
        if operands is not None:
            drawn += _takes(candidate, name, operands, context)


def _takes(candidate: Candidate, name: str, operands: Operands, context: Context) -> int:
    stored = context.groups[name].suspect.dtype
    profile = candidate.profile(stored if stored in FLOATS else candidate.dtype)
    try:
        return candidate.rule.draws(operands, candidate.parameters(name), profile)
    except UsageError:
        return 0


def replay_record(
    candidate: Candidate, tensors: tuple[MethodTensor, ...], out: str, left: int
) -> MethodReplay:
    """What is saved of a recipe that was replayed on these tensors; ``left`` were not."""
    return MethodReplay(
        subject=0,
        method=candidate.method,
        relation=candidate.rule.relation,
        arithmetic=candidate.arithmetic,
        dtype=candidate.dtype.value,
        out=out,
        operands=candidate.operands,
        base=Absent("no operand is the base") if candidate.base is None else candidate.base,
        numbers=candidate.numbers,
        label=candidate.label,
        informative=sum(t.informative for t in tensors),
        matches=sum(t.matches for t in tensors),
        adjacent=sum(t.adjacent for t in tensors),
        tensors=tensors,
        whole=not left,
        left=left,
        seed=NO_CHANCE if candidate.rule.random is None else candidate.seed,
        exact=candidate.exact,
    )


def control_of(own: MethodReplay, control: int, counts: Sequence[Counted]) -> MethodReplay:
    """The same recipe on tensors of a control."""
    return replace(
        own,
        subject=control,
        informative=sum(c.informative for c in counts),
        matches=sum(c.matches for c in counts),
        adjacent=sum(c.adjacent for c in counts),
        tensors=(),
        ranges=(),
        alike=(),
        courses=(),
    )
