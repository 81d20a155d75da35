"""Sizes and kinds, licences, settings of training, runtimes, makers: what one match says by itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from parentage.cards.claims.finding import Prose
from parentage.cards.claims.numbers import UNITS, number_of, shown_number
from parentage.cards.claims.statements import Said
from parentage.records.card import Claim

__all__ = ["detail_claims"]

_NOBODY = re.compile(
    r"(?i)(scratch|default|us|me|hand|training|the authors?|mergekit|llama\.cpp|transformers)"
)


def detail_claims(prose: Prose) -> Iterator[Claim]:
    """Claims of the kinds that need nothing but their own match."""
    readers = {
        "parameters": _parameters,
        "licence": _licence,
        "hyper-parameter": _setting,
        "maker": _maker,
        "architecture": _named,
        "inference": _named,
    }
    for said, _ in prose.said(*readers):
        value = None if said.denied else readers[said.rule.kind](said)
        if value is not None:
            yield prose.claim(said, said.rule.kind, value)


def _named(said: Said) -> str | None:
    # A tool that made the file is no runtime that it is used with, but whoever has one has the other.
    return said.rule.value


def _parameters(said: Said) -> str | None:
    unit = re.sub(r"\s+", " ", said.match["unit"].lower())
    count = number_of(said.match["number"]) * UNITS.get(unit, math.nan)
    # Units such as 1.1 * 10^9 leave a rest in binary: a count of weights is whole.
    return str(round(count)) if 1e4 <= count <= 1e14 else None


def _licence(said: Said) -> str | None:
    text = re.sub(r"[\s_]+", "-", said.match["licence"].lower())
    text = re.sub(r"^(apache-2|gpl-\d|lgpl-\d)$", r"\1.0", text)
    return text


def _setting(said: Said) -> str | None:
    groups = said.match.groupdict()
    if groups.get("word"):
        return f"{said.rule.value}={groups['word'].lower()}"
    value = number_of(said.match["number"]) * UNITS.get(str(groups.get("unit", "")).lower(), 1.0)
    return f"{said.rule.value}={shown_number(value)}" if math.isfinite(value) else None


def _maker(said: Said) -> str | None:
    who = said.match["who"].strip(" .-")
    return None if _NOBODY.fullmatch(who) or len(who) < 2 else who
