"""What ``verify`` found: which inputs are not those that were pinned, and which values do not follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.absence import Absent

__all__ = ["SCHEMA", "VERSION", "InputDifference", "ValueDifference", "Verification"]

SCHEMA = "parentage.verification"
VERSION = 1


@dataclass(frozen=True, slots=True)
class InputDifference:
    """A weight file that is not the pinned one. ``tensors``: those whose bytes differ, as far as the
    pinned checksums tell; ``reason``: what was compared, with both values."""

    model: str
    file: str
    reason: str
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """A value at ``path`` in the evidence. Absent: one side has no such value."""

    path: str
    stored: Any
    derived: Any


@dataclass(frozen=True, slots=True)
class Verification:
    """``compared``: values that were compared, of ``files`` weight files and all numbers.

    ``unmeasured``: why the inputs that were found could not be measured, when they could not;
    ``limits``: what a reader must not take this verification for.
    """

    measured_by: Mapping[str, Any]
    derived_by: Mapping[str, Any]
    files: int
    compared: int
    inputs: tuple[InputDifference, ...]
    values: tuple[ValueDifference, ...]
    unmeasured: str | Absent
    limits: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that was compared agrees."""
        return not self.inputs and not self.values and isinstance(self.unmeasured, Absent)
