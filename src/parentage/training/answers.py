"""What a model's text answers: the last number, the last option named, the whole text.

The last one counts, for models repeat the question before they answer it (so do the harnesses that score
sums by their last number).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

__all__ = ["last_number", "last_option", "plain", "same_number"]

# Longer than any result; a number of a thousand digits is no answer and costs time.
MOST_DIGITS = 30
MOST_TEXT = 16_384
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d])|-?\d+(?:\.\d+)?")
_MINUS = str.maketrans({"−": "-", "–": "-", "‑": "-"})


def last_number(text: str) -> str:
    """The last number of a text in one spelling ("007.50" is "7.5"); empty where there is none.

    A minus sign belongs to a number where no digit or letter stands before it: "9-4" ends in 4.
    """
    shown = text[-MOST_TEXT:].translate(_MINUS)
    found = list(_NUMBER.finditer(shown))
    if not found:
        return ""
    last = found[-1]
    digits = last[0].replace(",", "")
    before = shown[: last.start()].rstrip()
    if digits.startswith("-") and before and (before[-1].isalnum() or before[-1] == ")"):
        digits = digits[1:]
    return _spelt(digits)


def _spelt(digits: str) -> str:
    if len(digits) > MOST_DIGITS:
        return digits[:MOST_DIGITS]
    value = Decimal(digits)
    whole = value == value.to_integral_value()
    return str(int(value)) if whole else str(value.normalize())


def same_number(first: str, second: str) -> bool:
    """Whether two spellings are of one number; an empty one is of none."""
    return bool(first) and last_number(first) == last_number(second)


def plain(text: str) -> str:
    """Case, width and spaces made equal; signs at the ends taken off."""
    folded = " ".join(unicodedata.normalize("NFKC", text[:MOST_TEXT]).casefold().split())
    return folded.strip(" .,;:!?\"'`*()[]{}«»“”‘’")


def last_option(text: str, options: Sequence[str]) -> str:
    """Of some options the one that the text names last, as whole words; empty where it names none."""
    shown = plain(text)
    best, place = "", -1
    for option in options:
        wanted = plain(option)
        at = max((m.start() for m in re.finditer(rf"(?<!\w){re.escape(wanted)}(?!\w)", shown)), default=-1)
        if at > place:
            best, place = wanted, at
    return best
