"""Simple numbers that a person may have typed as a weight, shortest description first.

A typed number may have been stored before it was used: 0.6 is .6015625 in bf16. Such forms count as the
number that was typed and a word on how it was stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType

__all__ = ["describe", "description_length", "near", "rest_of_one", "simplest_in"]

MAX_DECIMALS = 6
MAX_DENOMINATOR = 64
# Typed numbers of so many digits are looked for behind their stored forms, which cost so many characters
# more, and how far storage moves a number at most.
FORM_DIGITS = 3
FORM_COST = {DType.BF16: 3.0, DType.F16: 4.0, DType.F32: 5.0}
FORM_REACH = 2.0**-8
# A range wider than this holds plainer numbers.
FORM_WIDTH = 0.02
# A few roundings of float64 sums near one.
TYPED_SLACK = 1e-14


def _decimals(low: float, high: float, digits: int) -> list[float]:
    return _multiples(low, high, 10**digits)


def _multiples(low: float, high: float, parts: int) -> list[float]:
    """Multiples of 1/``parts`` in [low, high], a thousand at most."""
    # The products round, so one more on either side is tried.
    first, last = math.ceil(low * parts) - 1, math.floor(high * parts) + 1
    tried = (k / parts for k in range(first, min(last, first + 1002) + 1))
    return [value for value in tried if low <= value <= high][:1000]


def _fractions(low: float, high: float) -> list[float]:
    found = []
    for denominator in range(2, MAX_DENOMINATOR + 1):
        found += [
            value
            for value in _multiples(low, high, denominator)
            if math.gcd(round(value * denominator), denominator) == 1
        ]
    return found


def description_length(value: float) -> float:
    """Characters that it takes to write the number down: as a decimal, a fraction or a stored form."""
    return _described(value, math.copysign(1.0, value))


# A search asks for the same few thousand again and again. A negative zero has a sign to write.
@lru_cache(maxsize=2**16, typed=True)
def _described(value: float, _: float) -> float:
    digits = next((d for d in range(MAX_DECIMALS + 1) if _is_decimal(value, d)), None)
    lengths = [99.0] if digits is None else [float(len(f"{value:.{digits}f}"))]
    fraction = Fraction(value).limit_denominator(MAX_DENOMINATOR)
    if float(fraction) == value:
        lengths.append(len(f"{fraction}") + 1.0)
    if digits is None and _is_stored(value):
        lengths += [cost for form, cost in _forms(value, value) if form == value]
    return min(lengths)


def _is_stored(value: float) -> bool:
    """Can any of the formats hold it? Most numbers need not be looked for behind their forms."""
    with np.errstate(over="ignore"):
        return any(quantize(np.array([value]), dtype)[0] == value for dtype in FORM_COST)


def _cost(value: float) -> tuple[float, float, float]:
    """Description length, then size, so that the order is total."""
    return (description_length(value), abs(value - 0.5), value)


def _forms(low: float, high: float) -> list[tuple[float, float]]:
    """Stored forms, in [low, high], of short decimals near it, with their description lengths."""
    if high - low > FORM_WIDTH:
        return []
    reach = FORM_REACH * max(abs(low), abs(high))
    typed = [
        (value, len(f"{value:.{digits}f}"))
        for digits in range(1, FORM_DIGITS + 1)
        for value in _decimals(low - reach, high + reach, digits)
        if digits == 1 or not _is_decimal(value, digits - 1)
    ]
    if not typed:
        return []
    found = []
    for dtype, extra in FORM_COST.items():
        stored = quantize(np.array([value for value, _ in typed]), dtype)
        for form, (value, length) in zip(stored, typed, strict=True):
            if low <= form <= high and form != value:
                found.append((float(form), length + extra))
    return found


def _is_decimal(value: float, digits: int) -> bool:
    return round(value, digits) == value


def simplest_in(low: float, high: float, limit: int) -> list[float]:
    """Up to ``limit`` numbers in [low, high], simplest first; at least the middle."""
    found: list[float] = []
    for digits in range(1, MAX_DECIMALS + 1):
        found += _decimals(low, high, digits)
        if len(found) >= limit:
            break
    shortest = _shortest_fraction(low, high)
    if sum(description_length(value) < shortest for value in set(found)) < limit:
        found += _fractions(low, high)
    found += [form for form, _ in _forms(low, high)]
    for value in (0.0, 1.0):
        if low <= value <= high:
            found.append(value)
    ordered = sorted(dict.fromkeys(found), key=_cost)[:limit]
    return ordered or [(low + high) / 2]


def _shortest_fraction(low: float, high: float) -> float:
    """No fraction in [low, high] is written with fewer characters: a wide range of large numbers holds
    thousands, each longer than the whole numbers beside it."""
    least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return len(str(max(1, math.floor(2 * least)))) + len("/2") + 1.0


def rest_of_one(weights: Sequence[float]) -> float:
    """What the others leave of one, as people write it: .3 beside .7, though 1 - .7 is not quite .3."""
    rest = 1.0 - math.fsum(weights)
    typed = round(rest, 9)
    return typed if abs(typed - rest) < TYPED_SLACK else rest


def near(centre: float, radius: float, limit: int) -> list[float]:
    """Simple decimals (two digits) and fractions (to twelfths) within ``radius``, nearest in meaning:
    simplest first."""
    low, high = centre - radius, centre + radius
    found = _decimals(low, high, 1) + _decimals(low, high, 2)
    found += [
        v
        for v in _fractions(low, high)
        if Fraction(v).limit_denominator(12) == Fraction(v).limit_denominator(MAX_DENOMINATOR)
    ]
    fine = _decimals(centre - radius / 10, centre + radius / 10, 3)
    ordered = sorted(dict.fromkeys(found), key=_cost)[:limit]
    return list(dict.fromkeys([*ordered, *fine]))


def describe(value: float) -> str:
    """``0.6``, ``4/7``, ``0.6 as bf16 (0.6015625)`` or the number to six digits."""
    for digits in range(0, 5):
        if _is_decimal(value, digits):
            return f"{value:.{max(digits, 1)}f}"
    fraction = Fraction(value).limit_denominator(MAX_DENOMINATOR)
    if float(fraction) == value:
        return str(fraction)
    for typed in near(value, 0.003, 16):
        if float(quantize(np.array([typed]), DType.BF16)[0]) == value:
            return f"{typed:g} as bf16 ({value:g})"
    return f"{value:.6g}"
