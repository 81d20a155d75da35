"""What ``label verify`` found: what a label, and a signature, say that is not so; version 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["SCHEMA", "VERSION", "LabelCheck", "LabelMismatch"]

SCHEMA = "parentage.label-check"
VERSION = 1


@dataclass(frozen=True, slots=True)
class LabelMismatch:
    """``code``: stable, of ``docs/errors.md``; ``file``: what it is about; ``message``: both sides."""

    code: str
    file: str
    message: str


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """``hashed``: how many files' bytes were compared with what is said of them; ``basis``: how the label
    says it is known; ``signed_by``: SHA-256 of the public key that the signature was made with.

    ``limits``: what a reader must not take a label or a signature for.
    """

    tool: Mapping[str, str]
    folder: str
    recipe_sha256: str | Absent
    basis: str | Absent
    hashed: int
    signed_by: str | Absent
    mismatches: tuple[LabelMismatch, ...]
    notes: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Everything that was compared agrees."""
        return not self.mismatches
