"""The alias file: which names there are, and where a text has them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

__all__ = ["Mention", "Name", "known_names", "mentions", "normalised"]

_VERSION = (
    r"(?:[ -]?[vrknmx]?\d[\w.]*)?(?:-(?:chat|instruct|base|max|plus|turbo|large|pro|mini|flash|bot))*"
)
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ue000-\uf8ff]"
)
_ARABIC_SIGNS = re.compile("[\u0610-\u061a\u0640\u064b-\u065f\u0670]")
_ARABIC_LETTERS = str.maketrans("أإآىة", "ااايه")
_TYPOGRAPHIC = str.maketrans("’‘ʼ`´", "'''''")


@dataclass(frozen=True, slots=True)
class Name:
    """A model or maker. ``common``: also an everyday word."""

    id: str
    kind: str
    shown: str
    maker: str
    common: bool
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a normalised text."""

    name: Name
    start: int
    end: int


def normalised(text: str) -> str:
    """Case, width, Arabic spellings and apostrophes made equal; signs that do not show removed."""
    plain = _HIDDEN.sub("", unicodedata.normalize("NFKC", text)).casefold().translate(_TYPOGRAPHIC)
    return _ARABIC_SIGNS.sub("", plain).translate(_ARABIC_LETTERS)


@cache
def known_names() -> dict[str, Name]:
    """Every name by id, in the file's order."""
    text = (files("parentage.behaviour.names") / "aliases.yaml").read_text("utf-8")
    listed = yaml.load(text, Loader=yaml.SafeLoader)["names"]
    return {entry["id"]: _name(entry) for entry in listed}


def _name(entry: dict[str, Any]) -> Name:
    aliases = tuple(dict.fromkeys(normalised(str(a)) for a in entry["aliases"]))
    maker, common = str(entry.get("maker", entry["id"])), bool(entry.get("common", False))
    return Name(str(entry["id"]), entry["kind"], str(entry["shown"]), maker, common, aliases)


@cache
def _patterns() -> tuple[re.Pattern[str], dict[str, Name]]:
    owners = {alias: name for name in known_names().values() for alias in name.aliases}
    # Longer aliases first: "nex-agi" is not "nex".
    ordered = sorted(owners, key=lambda a: (-len(a), a))
    return re.compile("|".join(f"(?:{_bounded(a)})" for a in ordered)), owners


def _bounded(alias: str) -> str:
    core = r"[ -]?".join(re.escape(part) for part in re.split(r"[ -]", alias))
    first = alias[0]
    if "a" <= first <= "z" or first.isdigit():
        # A letter of another script may stand beside it, as in Japanese.
        return rf"(?<![a-z0-9à-ÿ])(?:{core}){_VERSION}(?![a-zà-ÿ])(?!-[a-z]{{2,}})"
    if "\u0400" <= first <= "\u04ff":
        return rf"(?<![\u0400-\u04ff])(?:{core})[\u0400-\u04ff]{{0,2}}(?![\u0400-\u04ff])"
    if "\u0600" <= first <= "\u06ff":
        return rf"(?<![\u0620-\u064a])[وفبلك]{{0,2}}(?:{core})(?![\u0620-\u064a])"
    if "\u30a0" <= first <= "\u30ff":
        return rf"(?<![\u30a1-\u30fa\u30fc])(?:{core})(?![\u30a1-\u30fa\u30fc])"
    return core


def mentions(text: str) -> Sequence[Mention]:
    """Names in a text that :func:`normalised` gave, from left to right; none overlap."""
    pattern, owners = _patterns()
    keys = {re.sub(r"[ -]", "", alias): name for alias, name in owners.items()}
    return [Mention(_owner(match[0], keys), match.start(), match.end()) for match in pattern.finditer(text)]


def _owner(found: str, keys: dict[str, Name]) -> Name:
    """The name whose longest alias the matched text holds; a version or an ending may follow it."""
    plain = re.sub(r"[ -]", "", found)
    for start in range(3):
        for end in range(len(plain), start, -1):
            name = keys.get(plain[start:end])
            if name is not None:
                return name
    raise AssertionError(f"{found!r} matched and has no owner")
