"""Which merge method made the suspect: what a second measuring pass replayed, and what else it found.

A method is recognised by replay alone. Estimates propose; what is recorded here are counts of elements that
a method's own rule gives bit for bit, beside those that a copy of an operand would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parentage.records.absence import Absent

__all__ = [
    "CODES",
    "EVERYWHERE",
    "HOLDS",
    "NETWORK",
    "NOT_RUN",
    "NO_CHANCE",
    "TOO_LARGE",
    "Course",
    "CourseClause",
    "Finding",
    "MethodReplay",
    "MethodTensor",
    "Numbers",
    "RangeOf",
    "Recognition",
    "RivalReplay",
    "Where",
    "missed",
    "too_dear",
]

NOT_RUN = Absent("merge methods beside blends and copies were not looked for when this was measured")
NETWORK = Absent("a model is read over a network, and methods are replayed on whole tensors")
# After the reason NETWORK, where reading whole tensors was possible and too dear.
PRICE = "{}: {:,.1f} MB would have to be read for the first of them; --budget raises what may be"
TOO_LARGE = Absent("no tensor that the models share is small enough to replay methods on")
CODES = Absent("the suspect stores codes, and methods are replayed on numbers")
HOLDS = Absent("the recipe's numbers hold")


def too_dear(nbytes: int) -> Absent:
    """No tensor was read whole over a network, for the first ones take ``nbytes`` of all models."""
    return Absent(PRICE.format(NETWORK.reason, nbytes / 1e6))


def missed(found: object) -> str:
    """Why merge methods were not looked for though there is something to be found; else empty."""
    if not isinstance(found, Absent):
        return ""
    known = found in (CODES, NETWORK, TOO_LARGE) or found.reason.startswith(f"{NETWORK.reason}: ")
    return found.reason if known else ""


NO_CHANCE = Absent("the method draws nothing at random")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A method's parameters for one tensor, or for the whole model.

    ``each``: by operand, in the recipe's order (empty for the base); ``shared``: of the merge.
    """

    each: tuple[Mapping[str, Any], ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RangeOf:
    """Values of one parameter, the others held, beyond which the probe no longer replays.

    ``operand``: its place among the operands, Absent for a parameter of the merge. What lies outside
    ``low``..``high`` was excluded by replay; what lies inside was not tried everywhere.
    """

    parameter: str
    operand: int | Absent
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CourseClause:
    """A number in the tensors whose name holds ``filter`` (empty: in all that no earlier clause names).

    ``values``: one, or the anchors of a gradient, evenly spaced over the layers and linear between;
    ``low``, ``high``: of each, the nearest value tried that no longer replays.
    """

    filter: str
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """How one parameter runs over the model, as a recipe writes it; ``operand`` as in ``RangeOf``."""

    parameter: str
    operand: int | Absent
    clauses: tuple[CourseClause, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """Which tensors a part holds: those of ``layers`` [first, last) whose name holds one of ``filters``,
    where these are given; or the ``tensors`` that are listed."""

    layers: tuple[int, int] | Absent
    filters: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()


EVERYWHERE = Where(Absent("all that no earlier part holds"))


@dataclass(frozen=True, slots=True)
class MethodTensor:
    """A method replayed on every element of one tensor.

    ``informative``: elements in which the operands differ; ``matches`` of them equal the replay,
    ``adjacent`` lie one grid step beside it (of a tool whose last bits are known not to be reached, and in
    float32: at most four steps of the largest operand). ``copies[k]``: those that equal operand k, stored
    as the suspect is.
    ``own``: the numbers of this tensor, Absent where the recipe's hold. ``method``: where another rule than
    the recipe's made it, in parts that are told apart; else empty.
    """

    name: str
    elements: int
    equal: int
    informative: int
    matches: int
    adjacent: int
    copies: tuple[int, ...]
    own: Numbers | Absent = HOLDS
    method: str = ""


@dataclass(frozen=True, slots=True)
class RivalReplay:
    """Another recipe that was replayed on the probe; of ``informative`` elements ``matches`` came out."""

    method: str
    relation: str
    arithmetic: str
    dtype: str
    operands: tuple[int, ...]
    label: str
    informative: int
    matches: int


@dataclass(frozen=True, slots=True)
class MethodReplay:
    """One method, its operands and numbers, replayed.

    ``operands``: models in the recipe's order, ``base`` the base's place among them. ``arithmetic``: the
    tool's profile, ``dtype`` what it computes in and ``out`` what is stored. ``subject`` 0 is the suspect;
    a control is replayed on the probe only. ``alike``: recipes that give the probe's every bit too, and so
    are not told from this one. ``whole``: every tensor that the operands share was replayed; else ``left``
    says how many were not. ``exact``: the share of elements that a replay must give, 1 but for tools whose
    last bits are known not to be reached. ``where``: the part of the model that it makes; ``courses``:
    numbers that run over it, whose values each tensor's ``own`` numbers hold.
    """

    subject: int
    method: str
    relation: str
    arithmetic: str
    dtype: str
    out: str
    operands: tuple[int, ...]
    base: int | Absent
    numbers: Numbers
    label: str
    informative: int
    matches: int
    adjacent: int
    tensors: tuple[MethodTensor, ...]
    ranges: tuple[RangeOf, ...] = ()
    alike: tuple[RivalReplay, ...] = ()
    whole: bool = True
    left: int = 0
    seed: int | Absent = NO_CHANCE
    exact: float = 1.0
    where: Where = EVERYWHERE
    courses: tuple[Course, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was measured beside replays (a shared direction, zeros, a rank), not judged.

    ``kind`` names the recogniser that measured it and that judges it; ``measures`` its numbers.
    """

    kind: str
    models: tuple[int, ...]
    tensors: tuple[str, ...]
    measures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recognition:
    """The pass: ``tried`` recipes on the tensors of the ``probe``.

    ``replays``: the suspect's best recipe, then the controls under the same; none where nothing was
    proposed. ``rivals``: the next best of other methods. ``parts``: where the suspect falls into parts by
    rules that together give its every element, in order: the first whose region holds a tensor made it.
    Each is followed by the controls under it.
    """

    tried: int
    probe: tuple[str, ...]
    replays: tuple[MethodReplay, ...]
    rivals: tuple[RivalReplay, ...] = ()
    findings: tuple[Finding, ...] = ()
    parts: tuple[MethodReplay, ...] = ()
