"""Numbers as cards write them: 2e-5, 0,01, 50,000, 1.5B, 130 亿."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["UNITS", "number_of", "plain_number", "score_of", "shown_number"]

UNITS: Final[Mapping[str, float]] = {
    "thousand": 1e3, "k": 1e3,
    "m": 1e6, "million": 1e6, "millions": 1e6, "milhões": 1e6, "milhão": 1e6, "millones": 1e6,
    "millionen": 1e6, "万": 1e4,
    "b": 1e9, "billion": 1e9, "bilhões": 1e9, "bilhão": 1e9, "mil millones": 1e9, "milliard": 1e9,
    "milliards": 1e9, "milliarde": 1e9, "milliarden": 1e9, "亿": 1e8,
    "t": 1e12, "trillion": 1e12, "万亿": 1e12,
}  # fmt: skip
_SCORE = re.compile(
    r"(-?\d{1,6}(?:[.,]\d{1,12})?)\s*%?(?:\s*(?:±|\+/-|\+-)\s*(\d{1,4}(?:[.,]\d{1,8})?)\s*%?)?"
)


def plain_number(value: object) -> float | None:
    """A number of YAML's as a float; None for any other value, and where no float is as large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def number_of(text: str) -> float:
    """A number in running text; a comma groups digits by three, or is a decimal one."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", text):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))


def score_of(text: str) -> tuple[float, float | None] | None:
    """The score in a cell that holds nothing else, and its error where "±" says one."""
    found = _SCORE.fullmatch(re.sub(r"[*_†‡^]", "", text).strip())
    if found is None:
        return None
    error = found[2]
    return float(found[1].replace(",", ".")), None if error is None else float(error.replace(",", "."))


def shown_number(value: float) -> str:
    """The shortest common spelling: 2e-05, 0.0001, 3, 50000."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
