"""Licence files beside a card: which of the known texts each one is.

A text is told by its title, near its beginning, or by a sentence that no other licence has. Anything else,
and a file with several texts in it, is not told: a guess at a licence is worse than none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from parentage.records.card_sources import LicenceText

__all__ = ["MOST_TEXT", "licence_of", "licences_of", "same_licence"]

# The longest licence of the list, GPL 3, has 35,149 bytes.
MOST_TEXT: Final = 2**17
TITLE: Final = 1_200
# Titles by the hub's identifiers; each must stand near the beginning.
_TITLES: Final = (
    ("apache-2.0", r"apache license\W+version 2\.0"),
    ("agpl-3.0", r"gnu affero general public license\W+version 3"),
    ("lgpl-3.0", r"gnu lesser general public license\W+version 3"),
    ("gpl-3.0", r"gnu general public license\W+version 3"),
    ("gpl-2.0", r"gnu general public license\W+version 2"),
    ("mpl-2.0", r"mozilla public license,?\W+version 2\.0"),
    ("cc0-1.0", r"cc0 1\.0 universal"),
    ("cc-by-nc-nd-4.0", r"attribution-noncommercial-noderiv(ative)?s 4\.0"),
    ("cc-by-nc-sa-4.0", r"attribution-noncommercial-sharealike 4\.0"),
    ("cc-by-nc-4.0", r"attribution-noncommercial 4\.0"),
    ("cc-by-nd-4.0", r"attribution-noderiv(ative)?s 4\.0"),
    ("cc-by-sa-4.0", r"attribution-sharealike 4\.0"),
    ("cc-by-4.0", r"(?<!-)attribution 4\.0 international"),
    ("llama2", r"llama 2 community license"),
    ("llama3", r"llama 3 community license"),
    ("llama3.1", r"llama 3\.1 community license"),
    ("llama3.2", r"llama 3\.2 community license"),
    ("llama3.3", r"llama 3\.3 community license"),
    ("llama4", r"llama 4 community license"),
    ("gemma", r"gemma terms of use"),
    ("qwen-research", r"qwen research license"),
    ("qwen", r"(?<!research )(tongyi qianwen|qwen) license agreement"),
    ("deepseek", r"deepseek license agreement"),
    ("bigscience-openrail-m", r"bigscience open ?rail-m license"),
)
# Licences without a title of their own, by words that stand anywhere.
_PERMITS: Final = "permission is hereby granted, free of charge"
_AS_IS: Final = 'the software is provided "as is"'
_FORMS: Final = "redistribution and use in source and binary forms"
_NAMES: Final = "neither the name"
_FREE: Final = "this is free and unencumbered software released into the public domain"


def licence_of(text: str) -> str | None:
    """The hub's identifier of the one licence whose text this is; None where it is told to be none."""
    plain = " ".join(unicodedata.normalize("NFKC", text[:MOST_TEXT]).casefold().split())
    plain = plain.replace("\u201c", '"').replace("\u201d", '"')
    found = [name for name, title in _TITLES if re.search(title, plain[:TITLE])] + _untitled(plain)
    return found[0] if len(found) == 1 else None


def _untitled(plain: str) -> list[str]:
    found = []
    if _PERMITS in plain and _AS_IS in plain:
        found.append("mit")
    if _FORMS in plain:
        found.append("bsd-3-clause" if _NAMES in plain else "bsd-2-clause")
    if _FREE in plain:
        found.append("unlicense")
    return found


def licences_of(files: Sequence[LicenceText]) -> dict[str, str]:
    """Identifiers by the names of the files that are one of the known texts."""
    return {f.name: told for f in files if (told := licence_of(f.text)) is not None}


def same_licence(claimed: str, told: str) -> bool:
    """Whether a card's word for a licence is this one, version left out or not."""
    one, other = (re.sub(r"[\s_]+", "-", name.casefold().strip()) for name in (claimed, told))
    one = re.sub(r"-(only|or-later|license|licence)$", "", one)
    return one == other or other.startswith(f"{one}-")
