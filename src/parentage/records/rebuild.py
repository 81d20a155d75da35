"""A recipe carried out anew and held against a model: what ``replay`` measures and writes, version 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.merge import Parent

__all__ = [
    "SCHEMA",
    "VERSION",
    "DifferingElement",
    "Rebuild",
    "RebuiltFile",
    "RebuiltTensor",
    "UnmatchedTensor",
]

SCHEMA = "parentage.replay"
VERSION = 1


@dataclass(frozen=True, slots=True)
class DifferingElement:
    """Storage bits in hexadecimal, of the rebuilt element and of the suspect's."""

    index: int
    rebuilt: str
    found: str


@dataclass(frozen=True, slots=True)
class RebuiltTensor:
    """Elements whose bits, and whose values (zeros of both signs are equal), are the suspect's.

    ``informative``: elements where the operands differ among each other; none where a tensor is copied.
    ``differing``: the first few elements that differ. Absent counts: the suspect's weights were not read.
    """

    name: str
    how: str
    elements: int
    equal_bits: int | Absent
    matches: int | Absent
    informative: int
    informative_matches: int | Absent
    differing: tuple[DifferingElement, ...] = ()


@dataclass(frozen=True, slots=True)
class UnmatchedTensor:
    """A tensor that only one of the two has, or that cannot be compared, and why."""

    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class RebuiltFile:
    """A weight file of the suspect, made again: its own header, and rebuilt weights.

    ``rebuilt``: SHA-256 of that; ``found``: of the suspect's file, computed from its bytes or, where
    ``published``, as its place says.
    """

    name: str
    size: int
    rebuilt: str | Absent
    found: str | Absent
    published: bool

    @property
    def equal(self) -> bool:
        """Both are known, and the same."""
        return isinstance(self.rebuilt, str) and self.rebuilt == self.found


@dataclass(frozen=True, slots=True)
class Rebuild:
    """``holds``: every weight file, or every element of every tensor, is what the recipe makes."""

    tool: Mapping[str, str]
    recipe_sha256: str
    method: str
    profile: str
    seed: int
    suspect: str
    revision: str | Absent
    parents: tuple[Parent, ...]
    holds: bool
    elements: int
    equal_bits: int | Absent
    matches: int | Absent
    informative: int
    informative_matches: int | Absent
    tensors: tuple[RebuiltTensor, ...]
    unmatched: tuple[UnmatchedTensor, ...]
    files: tuple[RebuiltFile, ...]
    notes: tuple[str, ...] = ()
