"""Files of a label as values, and where two values differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.places import load_json_file, safe_file
from parentage.errors import InputMissingError, ParentageError

__all__ = ["differences", "few", "json_of", "text_of"]

MOST_TEXT: Final = 8 * 2**20
MOST_PLACES: Final = 5


def json_of(folder: Path, name: str) -> dict[str, Any] | None:
    """A JSON object in a folder; None where there is none, or it is no such."""
    try:
        found = load_json_file(safe_file(folder, name), unique=True)
    except ParentageError:
        return None
    return found if isinstance(found, dict) else None


def text_of(folder: Path, name: str) -> str | None:
    """The first 8 MiB of a file, as UTF-8; None where it is not there."""
    try:
        file = LocalFile(name, safe_file(folder, name))
    except InputMissingError:
        return None
    try:
        raw = bytearray(min(file.size, MOST_TEXT))
        file.read_into(0, memoryview(raw))
    finally:
        file.close()
    return raw.decode("utf-8", errors="replace")


def differences(expected: Any, found: Any, at: str = "$") -> list[str]:
    """Places where two values of JSON differ."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        keys = list(dict.fromkeys([*expected, *found]))
        missing = object()
        return [
            place
            for key in keys
            for place in differences(expected.get(key, missing), found.get(key, missing), f"{at}.{key}")
        ]
    if isinstance(expected, list | tuple) and isinstance(found, list):
        if len(expected) != len(found):
            return [f"{at} ({len(found):,} entries for {len(expected):,})"]
        return [
            place
            for k, (one, other) in enumerate(zip(expected, found, strict=True))
            for place in differences(one, other, f"{at}[{k}]")
        ]
    return [] if type(expected) is type(found) and expected == found else [at]


def few(places: Sequence[str]) -> str:
    """The first of many places, as a message shows them."""
    listed = ", ".join(shown(p, 200) for p in places[:MOST_PLACES])
    more = len(places) - MOST_PLACES
    return f"{listed} and {more:,} more places" if more > 0 else listed
