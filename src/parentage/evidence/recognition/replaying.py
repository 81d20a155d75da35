"""Replay a candidate on whole tensors, through the method's own rule, and count what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import FLOATS, Context
from parentage.evidence.recognition.memory import Against, ProbeOperands
from parentage.merging.operands import Operands, pieces
from parentage.methods.method import Bits, Rule
from parentage.numerics.storage.formats import ordinal, to_float32
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
    "comes_out",
    "compared",
    "control_of",
    "drawn_before",
    "misses_any",
    "replay_record",
    "replay_tensor",
]

# Grid steps of the largest operand that float32 may be off where a tool's sums have an order of their own:
# Karcher means of three models far apart differ from ours by up to four (docs/methods.md).
LAST_STEPS: Final = 4.0
# Elements that are compared first: of 8,761 wrong numbers that three searches tried 92 % miss one of these.
FEW: Final = 256


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

    def replays(self, exact: float) -> bool:
        """Does every informative element come out, or, of a tool whose last bits we are known not to reach
        (``exact`` below 1), at least that share and the others but for last bits?"""
        off = self.informative - self.matches
        return self.share == 1.0 or (exact < 1.0 and self.share >= exact and off == self.adjacent)

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
    begun = _begun(candidate, name, context, subject, drawn)
    return None if begun is None else _counted(begun, enough)


def comes_out(candidate: Candidate, name: str, context: Context, *, drawn: int = 0) -> Counted | None:
    """The counts of one tensor of which every element comes out; None elsewhere."""
    begun = _begun(candidate, name, context, 0, drawn)
    if begun is None:
        return None
    start, count = next(_first_few(begun))
    few = _compared(begun.made(start, count), begun.against(start, count), begun)
    if few.equal < few.elements:
        return None
    found = _counted(begun, 1.0)
    return found if found.elements and found.equal == found.elements else None


def _counted(begun: _Begun, enough: float) -> Counted:
    total = Counted(0, 0, 0, 0, 0, [0] * begun.operands.models)
    for start, count in pieces(begun.operands.elements, begun.rule.granularity):
        made = begun.made(start, count)
        total.add(_compared(made, begun.against(start, count), begun))
        missed = total.informative - total.matches - (total.adjacent if begun.loose else 0)
        if missed > (1 - enough) * begun.operands.elements:
            break
    return total


def misses_any(candidate: Candidate, name: str, context: Context, *, drawn: int = 0) -> bool | None:
    """Does an informative element of one tensor not come out? Looked for in a few elements first, so that
    most wrong numbers are told from those; None where nothing is informative and everything is equal, or
    where ``replay_tensor`` gives None."""
    begun = _begun(candidate, name, context, 0, drawn)
    if begun is None:
        return None
    informative, unequal = False, False
    for start, count in _first_few(begun):
        made, against = begun.made(start, count), begun.against(start, count)
        ours = to_float32(made, begun.stored)
        known = against.known & np.isfinite(ours)
        differ = _differ(against, ours) & known
        off = (ours != against.theirs) & known
        if (differ & off).any():
            return True
        informative = informative or bool(differ.any())
        unequal = unequal or bool(off.any())
    return False if informative else True if unequal else None


def _first_few(begun: _Begun) -> Iterator[tuple[int, int]]:
    """All elements in pieces, of which the first is short."""
    step = begun.rule.granularity
    few = min(max(FEW // step, 1) * step, begun.operands.elements)
    yield 0, few
    for start, count in pieces(begun.operands.elements - few, step):
        yield few + start, count


@dataclass(frozen=True, slots=True)
class _Begun:
    """A candidate's rule, prepared for one tensor; ``loose``: last bits are the tool's own."""

    rule: Rule
    operands: Operands
    own: Operands
    stored: DType
    loose: bool = False

    def made(self, start: int, count: int) -> Bits:
        """What the rule makes of these elements."""
        with np.errstate(all="ignore"):
            return self.rule.apply(start, self.operands.read(start, count))

    def against(self, start: int, count: int) -> Against:
        """What that is compared with."""
        if isinstance(self.operands, ProbeOperands) and isinstance(self.own, ProbeOperands):
            found = self.operands.memory.against(self.operands, self.own)
            if found is not None:
                return found.part(start, count)
        values = self.operands.read(start, count)
        return Against.of(self.own.parts[0].bits(start, count), values, self.stored)


def _begun(candidate: Candidate, name: str, context: Context, subject: int, drawn: int) -> _Begun | None:
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
    return _Begun(rule, operands, own, stored, candidate.exact < 1.0)


def _differ(against: Against, ours: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where something is to be told: of one operand, where the rule changes it."""
    return ours != against.copies[0] if len(against.copies) == 1 else against.differ


def _compared(made: Bits, against: Against, begun: _Begun) -> Counted:
    stored = begun.stored
    ours = to_float32(made, stored)
    # Zeros of both signs are one value, and two NaN say nothing.
    finite = against.known & np.isfinite(ours)
    equal = (ours == against.theirs) & finite
    informative = _differ(against, ours) & finite
    off = informative & ~equal
    if begun.loose and stored is DType.F32:
        step = np.spacing(np.max([np.abs(row[off]) for row in against.copies], axis=0))
        beside = np.abs(ours[off] - against.theirs[off]) <= LAST_STEPS * step
    else:
        beside = np.abs(ordinal(made[off], stored) - ordinal(against.bits[off], stored)) == 1
    return Counted(
        int(np.count_nonzero(finite)),
        int(np.count_nonzero(equal)),
        int(np.count_nonzero(informative)),
        int(np.count_nonzero(equal & informative)),
        int(np.count_nonzero(beside)),
        [int(np.count_nonzero(informative & (against.theirs == row))) for row in against.copies],
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
