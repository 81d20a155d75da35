"""What a merge was made of and what came of it: ``parentage.json`` beside the weights, version 1.

The same record, without files, is the plan that ``--dry-run`` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parentage.records.absence import Absent

__all__ = [
    "MADE",
    "NOT_HASHED",
    "SCHEMA",
    "VERSION",
    "Basis",
    "CopiedTensor",
    "DroppedTensor",
    "MergeRecord",
    "MergedFile",
    "Parent",
    "Placed",
]

SCHEMA = "parentage.merge"
VERSION = 1

NOT_HASHED = Absent("not hashed: --no-digests was given")
WITNESSED = Absent("the weights were written by the run that labelled them")
NO_EVIDENCE = Absent("no audit stands behind this label")


@dataclass(frozen=True, slots=True)
class MergedFile:
    """A weight file, of a parent or of the output: bytes, SHA-256."""

    name: str
    size: int
    sha256: str | Absent


@dataclass(frozen=True, slots=True)
class Parent:
    """A model that the merge was made of.

    ``name``: as the recipe has it; ``id``: what it is known by elsewhere, from its place or its own config;
    ``share``: of the output's numbers by weight, where the method gives one; ``base``: deltas are from it.
    """

    name: str
    locator: str
    revision: str | Absent
    id: str | Absent
    licence: str | Absent
    share: float | Absent
    base: bool
    files: tuple[MergedFile, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a tensor of the output goes, and what it is made of."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    how: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CopiedTensor:
    """A tensor of the output that the method did not make, and why."""

    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class DroppedTensor:
    """A tensor of a parent that nothing in the output is made of, and why."""

    parent: str
    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Basis:
    """How it is known that these weights are what the recipe makes.

    ``kind``: ``made`` (by the run that wrote the label), ``replayed`` (made again, every bit equal),
    ``stated`` (a recipe that somebody gave; not proven), ``recovered`` (by an audit). ``matches`` of
    ``elements`` that were compared are what the recipe makes; ``headers``: the weight files say it too;
    ``card``: the file that the card was written to; ``before``: the weight files as they were examined,
    where a header was added to them since.
    """

    kind: str
    matches: int | Absent = WITNESSED
    elements: int | Absent = WITNESSED
    post_training: str | Absent = WITNESSED
    evidence_sha256: str | Absent = NO_EVIDENCE
    headers: bool = True
    card: str = "README.md"
    before: tuple[MergedFile, ...] = ()


MADE = Basis("made")


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """``recipe`` in its own form, its digest over that form's JSON; ``files``: the weights made, in order.

    ``bytes_read``: of operands, each once; ``bytes_written``: of the output's tensors; ``basis``: how it is
    known.
    """

    tool: Mapping[str, str]
    recipe: Mapping[str, Any]
    recipe_sha256: str
    method: str
    profile: str
    seed: int
    parents: tuple[Parent, ...]
    merged: int
    copied: tuple[CopiedTensor, ...]
    dropped: tuple[DroppedTensor, ...]
    notes: tuple[str, ...]
    bytes_read: int | Absent
    bytes_written: int
    files: tuple[MergedFile, ...] = ()
    placed: tuple[Placed, ...] = ()
    basis: Basis = MADE
