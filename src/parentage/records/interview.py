"""What a model was asked, what it answered, and what that shows: the records of an interview."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["HiddenPrompt", "HiddenText", "TemplateText"]


@dataclass(frozen=True, slots=True)
class HiddenText:
    """A stretch of words that the template itself puts into a prompt that has no system message.

    ``lines``: where in the template it is written, empty when that could not be traced. ``when``:
    "without-system" (gone once a system message is given), "always", or "unknown" (the template takes no
    system message).
    """

    text: str
    lines: tuple[int, ...]
    when: str


@dataclass(frozen=True, slots=True)
class TemplateText:
    """Words in a template that a plain question does not bring out (tools, reasoning, other roles)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class HiddenPrompt:
    """A chat template read: what it says when nobody told it to.

    Renderings are of one question (``QZXUSERQZX``) and clipped to 4,000 characters; ``system_given`` is of
    a system message (``QZXSYSTEMQZX``) before it. ``stripped``: with the template's own words taken out of
    its syntax tree, ``left_over``: words that remain there all the same. ``raw``: turn markers alone.
    ``traced``: whether every character could be followed to its literal.
    """

    template: str
    place: str
    sha256: str
    rendered: str
    system_given: str | Absent
    texts: tuple[HiddenText, ...]
    other_texts: tuple[TemplateText, ...]
    traced: bool
    stripped: str
    left_over: tuple[str, ...]
    raw: str | Absent
