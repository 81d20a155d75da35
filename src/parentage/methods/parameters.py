"""A method's parameters: as declared, and as a recipe gives them for one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError

__all__ = ["Addition", "Additions", "Declared", "Factors", "Parameters", "Value"]

Value = float | int | bool | str
Factors = tuple[NDArray[np.float32], NDArray[np.float32]]
"""An adapter's ``A`` [rank, in] and ``B`` [out, rank] for one module."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What one adapter adds to a tensor: ``weight`` · ``scaling`` · B A. ``read``: its factors, read anew
    at each call; ``name``: of the adapter, for messages."""

    weight: float
    scaling: float
    read: Callable[[], Factors]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Additions:
    """Those adapters, in the recipe's order, that change one tensor. ``ranks``: the largest rank of each
    adapter of the recipe, of those too that leave this tensor alone; ``root``: the first of them scales by
    the root of its rank. ``turned``: the tensor holds the transpose of B A; ``rounded``: the change is
    rounded to the tensor's dtype before it is added, as that of an embedding is."""

    parts: tuple[Addition, ...]
    ranks: tuple[int, ...]
    root: bool = False
    turned: bool = False
    rounded: bool = False


@dataclass(frozen=True, slots=True)
class Parameters:
    """A recipe's numbers for one tensor: filters and gradients are evaluated already.

    ``per_model`` [models] by operand, ``shared`` for all of them; what is left out has its declared
    default. ``seed`` is the recipe's; ``drawn``: random words that tensors before this one took from the
    tool's stream (``Method.draws`` tells how many each takes; the tools go in lexicographic order).
    ``arrays``: what a method takes beside numbers and is small beside the tensor, float32: an adapter's
    factors ``A`` [rank, in] and ``B`` [out, rank], a ``direction`` [out or in]. ``additions``: the adapters
    that methods combine.
    """

    per_model: tuple[Mapping[str, Value], ...] = ()
    shared: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    drawn: int = 0
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    additions: Additions | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter of a method. ``default`` None: it must be given. ``low``, ``high``: closed bounds."""

    name: str
    about: str
    kind: Literal["number", "count", "switch"] = "number"
    per_model: bool = False
    default: Value | None = None
    low: float = float("-inf")
    high: float = float("inf")

    def check(self, value: Value | None) -> Value:
        """The value, if it may be one; raises ``UsageError`` (``parameter-missing``, ``parameter-bad``)."""
        if value is None:
            raise UsageError(f"the parameter {self.name} has no value", code="parameter-missing")
        fits = isinstance(value, bool) if self.kind == "switch" else self._is_number(value)
        if not fits:
            raise UsageError(
                f"{self.name} = {value!r} is not {self._wanted()}", code="parameter-bad", hint=self.about
            )
        return value

    def _is_number(self, value: Value) -> bool:
        if isinstance(value, (bool, str)) or (self.kind == "count" and not isinstance(value, int)):
            return False
        return math.isfinite(value) and self.low <= value <= self.high

    def _wanted(self) -> str:
        if self.kind == "switch":
            return "true or false"
        kind = "a whole number" if self.kind == "count" else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"
