"""A measure of shared noise for a terminal."""

from __future__ import annotations

from typing import Protocol

from parentage.records.absence import Absent
from parentage.reports.wording import visible

__all__ = ["NoiseFound", "render_text"]

LIMIT = "This is a measure; no verdict of an audit rests on it. How often it errs: docs/explore.md."


class NoiseFound(Protocol):
    """What :class:`parentage.exploring.shared_noise.SharedNoise` holds."""

    @property
    def correlation(self) -> float:
        """Of the changes of tensors of unlike width, element by element."""

    @property
    def elsewhere(self) -> float:
        """The largest at other offsets."""

    @property
    def offsets(self) -> int:
        """How many."""

    @property
    def tensors(self) -> int:
        """Compared."""

    @property
    def sigma(self) -> float:
        """Of the noise."""

    @property
    def shared(self) -> bool:
        """Is it far above what is found elsewhere?"""


def render_text(suspect: str, base: str, found: NoiseFound | Absent) -> str:
    """One sentence, the numbers, the limit."""
    names = f"{visible(suspect)}, against {visible(base)}"
    if isinstance(found, Absent):
        return f"{names}: not measured; {visible(found.reason)}\n"
    told = (
        f"one stream of noise moved all of the tensors compared, of σ = {found.sigma:.2g}: what RandOpt's\n"
        "  published code leaves in a member"
        if found.shared
        else "no sign of one stream of noise in the tensors compared"
    )
    return (
        f"{names}: {told}\n"
        f"  correlation of the changes of {found.tensors} tensors, element by element: "
        f"{found.correlation:.3f}; at {found.offsets} other offsets at most {found.elsewhere:.3f}\n"
        f"  {LIMIT}\n"
    )
