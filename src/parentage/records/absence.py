"""What is unknown has a type and a reason; never 0, None or NaN."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Absent"]


@dataclass(frozen=True, slots=True)
class Absent:
    """A value that was not measured or does not exist, and why."""

    reason: str
