"""What a weight file's own metadata says of its making: claims, proven by nothing but what is measured."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["ClaimedModel", "MergeClaim"]


@dataclass(frozen=True, slots=True)
class ClaimedModel:
    """``role``: ``primary``, ``secondary``, ``tertiary``, or ``listed``; ``sha256``: of the whole file, in
    hexadecimal."""

    role: str
    name: str | Absent
    sha256: str | Absent


@dataclass(frozen=True, slots=True)
class MergeClaim:
    """``key`` of the metadata, ``tool`` and ``method`` as it names them; ``multiplier``: of the secondary
    model in a weighted sum, of the difference in an added one."""

    key: str
    tool: str
    method: str
    multiplier: float | Absent
    models: tuple[ClaimedModel, ...]
