"""Which parts of a rendered prompt are words to a model, and which are only its framing.

Framing is what separates turns: special tokens, role names, brackets of instruction formats. Prose is
what remains between them, when it holds at least two words (or four letters of a script without spaces).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["is_prose", "prose_spans"]

_TOKEN = re.compile(
    r"<[|｜][^<>\n]{1,48}[|｜]>|</?[A-Za-z_][\w:-]{0,30}>|<<?/?[A-Z_]{1,16}>>?|\[/?[A-Z_]{1,24}\]|\[gMASK\]|"
    r"^#{1,4} ?(?:Instruction|Input|Response|Human|Assistant|User|System) ?:?",
    re.MULTILINE,
)
_ROLE = re.compile(
    r"\s*(?:system|user|assistant|model|human|bot|tool|developer|ai|ipython|environment|observation)\b"
    r" ?:?\s*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")


def is_prose(text: str) -> bool:
    """Whether a text between two markers says something."""
    return len(_WORD.findall(text)) >= 2 or len(_UNSPACED.findall(text)) >= 4


def prose_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch of prose in a rendered prompt, without blanks at its ends."""
    at = 0
    for start, end in [*((m.start(), m.end()) for m in _TOKEN.finditer(text)), (len(text), len(text))]:
        yield from _within(text, at, start)
        at = end


def _within(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    role = _ROLE.match(text, start, end)
    if role is not None and (role.end() == end or text[role.end() - 1] in "\n:"):
        start = role.end()
    part = text[start:end]
    if is_prose(part):
        yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())
