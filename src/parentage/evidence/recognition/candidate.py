"""A recipe that may have made the suspect, as recognisers propose it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parentage.methods.method import Method, Parameters, Profile, Value
from parentage.methods.registry import method
from parentage.records.dtypes import DType
from parentage.records.recognition import Finding, Numbers

if TYPE_CHECKING:
    from parentage.evidence.recognition.context import Context

__all__ = ["Candidate", "Recogniser", "label_of"]

Arrays = Mapping[str, Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method with its operands (models by index, in the recipe's order), base and numbers.

    ``own``: numbers of single tensors; ``arrays``: by tensor, what a rule takes beside numbers. ``exact``:
    the share of informative elements that a replay must give to be this method's: 1, but for a tool whose
    last bits we are known not to reach (docs/methods.md); the others must then lie a grid step
    beside, or in float32 no more than four of the largest operand's.
    """

    method: str
    operands: tuple[int, ...]
    base: int | None
    numbers: Numbers
    arithmetic: str
    dtype: DType
    own: Mapping[str, Numbers] = field(default_factory=dict)
    seed: int = 0
    arrays: Arrays = field(default_factory=dict)
    exact: float = 1.0

    @property
    def rule(self) -> Method:
        """The method itself."""
        return method(self.method)

    def profile(self, out: DType) -> Profile:
        """The arithmetic of a tensor that is stored as ``out``."""
        return Profile(self.arithmetic, self.dtype, out)

    def numbers_of(self, tensor: str) -> Numbers:
        """The tensor's own numbers, else the recipe's."""
        return self.own.get(tensor, self.numbers)

    def parameters(self, tensor: str, drawn: int = 0) -> Parameters:
        """What the method takes for one tensor."""
        found = self.numbers_of(tensor)
        return Parameters(found.each, found.shared, self.seed, drawn, self.arrays.get(tensor, {}))

    def having(self, numbers: Numbers) -> Candidate:
        """The same with other numbers for the whole model."""
        # A search asks for tens of thousands of them: ``dataclasses.replace`` takes three times as long.
        return Candidate(
            self.method,
            self.operands,
            self.base,
            numbers,
            self.arithmetic,
            self.dtype,
            seed=self.seed,
            arrays=self.arrays,
            exact=self.exact,
        )

    def giving(self, tensor: str, numbers: Numbers) -> Candidate:
        """The same with numbers of its own for one tensor."""
        return replace(self, own={**self.own, tensor: numbers})

    @property
    def label(self) -> str:
        """The numbers as a person would write them."""
        return label_of(self.numbers)


def label_of(numbers: Numbers) -> str:
    """``t = 0.6``, ``weight = 0.5 : 0.3, lambda = 0.7``; empty for a method without parameters."""
    rows: dict[str, list[str]] = {}
    for given in numbers.each:
        for name, value in given.items():
            rows.setdefault(name, []).append(_shown(value))
    parts = [f"{name} = {' : '.join(values)}" for name, values in rows.items()]
    return ", ".join([*parts, *(f"{k} = {_shown(v)}" for k, v in numbers.shared.items())])


def _shown(value: Value) -> str:
    if isinstance(value, bool | str):
        return str(value).lower()
    return f"{value:.9g}"


def _nothing(context: Context) -> tuple[Finding, ...]:
    return ()


def _no_own(context: Context, candidate: Candidate, tensor: str) -> Iterable[Numbers]:
    return ()


@dataclass(frozen=True, slots=True)
class Recogniser:
    """What one file of this room offers; methods are tried in the registry's order, simplest first.

    ``propose``: whole recipes, best guess first, cheaply (from the context's samples and estimates).
    ``own``: numbers that one tensor may have of its own, where the candidate's do not replay there.
    ``find``: what is measured beside replays; it is judged by ``verdicts.methods``.
    """

    id: str
    propose: Callable[[Context], Iterable[Candidate]]
    own: Callable[[Context, Candidate, str], Iterable[Numbers]] = _no_own
    find: Callable[[Context], tuple[Finding, ...]] = _nothing

    @property
    def looks_alone(self) -> bool:
        """Does it say how to look for one tensor's numbers?"""
        return self.own is not _no_own
