"""Where candidates for parents may lie: a folder, a list, or names in the suspect's own files.

What a suspect's files name is a claim by whoever wrote them, so a name leads no farther than where the
suspect itself lies: for a local one to its folder (plain names only, and no link out of there), for one on
the hub to a few models of the same hub.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from parentage.checkpoints.formats.weight_names import format_among, is_weight_name
from parentage.checkpoints.locators import PlaceKind, hub_model, place_kind
from parentage.checkpoints.places import open_file
from parentage.errors import ParentageError, UsageError

__all__ = ["MOST_FROM_HUB", "declared_places", "listed_places"]

MOST_CANDIDATES = 256
MOST_BYTES = 2**20
# Models that a card on the hub names are opened there: so many, for each costs headers and a brief look.
MOST_FROM_HUB = 8
# models--org--name/snapshots/commit/part, the deepest place that the hub's cache puts a model.
DEEPEST = 4
MOST_FOLDERS = 20_000
SHARD = re.compile(r".*-\d{4,}-of-\d{4,}\.(safetensors|bin)", re.IGNORECASE)
HINT = "name a folder of models, a model on a network, or a text file that names one a line"


def listed_places(given: str) -> tuple[str, ...]:
    """The models in a folder, or those that a text file names one a line (``#`` begins a comment).

    Paths in a list are taken from the list's own folder; ``org/name``, where that holds no such folder, and
    addresses are models elsewhere. So is ``given`` itself. Raises ``UsageError`` when there are none.
    """
    if place_kind(given) is not PlaceKind.LOCAL:
        return (given,)
    path = Path(given)
    try:
        if path.is_dir():
            found = list(_in_folder(path))
        else:
            found = [given] if is_weight_name(given) else _in_list(path)
    except (OSError, ValueError):
        raise _refused("the candidates cannot be read", given) from None
    except ParentageError as error:
        raise _refused(f"the candidates cannot be read: {error.message}", given) from None
    if not found:
        raise _refused("no candidate is there", given)
    if len(found) > MOST_CANDIDATES:
        message = f"{len(found):,} candidates; at most {MOST_CANDIDATES} can be tried at once"
        raise _refused(message, given, "name the likeliest ones in a list")
    return tuple(found)


def _refused(message: str, where: str, hint: str = HINT) -> UsageError:
    return UsageError(message, code="usage-candidates", where=where, hint=hint)


def _in_folder(top: Path) -> Iterator[str]:
    """Every model at or below a folder, in the order of the paths; folders are visited once."""
    seen = {os.path.realpath(top)}
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            entries = sorted(folder.iterdir(), key=lambda p: p.name)
        except OSError:
            if folder is top:
                raise
            continue
        yield from _models(folder, entries)
        if depth == DEEPEST:
            continue
        below = []
        for entry in sorted(entries, key=lambda p: p.is_symlink()):  # a folder before links to it
            real = os.path.realpath(entry)
            if entry.is_dir() and real not in seen and len(seen) < MOST_FOLDERS:
                seen.add(real)
                below.append((entry, depth + 1))
        waiting += sorted(below, reverse=True)


def _models(folder: Path, entries: Sequence[Path]) -> Iterator[str]:
    """The folder itself where its files make up one model; else each weight file in it."""
    names = [p.name for p in entries]
    kind = format_among(names)
    if kind is None:
        return
    found = kind.weights(names)
    weights = [p for p in entries if p.name in found and p.is_file()]
    whole = (
        any(n in found for n in kind.usual)
        or kind.indexes(names)
        or (weights and "config.json" in names)
        or any(SHARD.fullmatch(p.name) for p in weights)
    )
    if whole:
        yield str(folder)
    else:
        yield from (str(p) for p in weights)


def _in_list(path: Path) -> list[str]:
    with os.fdopen(open_file(path), "rb") as stream:
        raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise _refused(f"a list of more than {MOST_BYTES:,} bytes", str(path))
    # A # within a path is part of it.
    lines = [re.split(r"(?:^|\s)#", line)[0].strip() for line in raw.decode("utf-8-sig").split("\n")]
    return [_listed(path.parent, line) for line in lines if line]


def _listed(folder: Path, line: str) -> str:
    local = folder / line
    there = os.path.lexists(local) or os.path.lexists(folder / Path(line).parts[0])
    return line if not there and place_kind(line) is not PlaceKind.LOCAL else str(local)


def declared_places(suspect: str, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """(name, place) for each name that the suspect's files declare; None where nothing is beside it, or,
    for a suspect on the hub, where the name is none of a model there or too many came before it."""
    kind = place_kind(suspect)
    if kind is PlaceKind.HUB:
        yield from _on_the_hub(suspect, names)
        return
    if kind is not PlaceKind.LOCAL:
        yield from ((name, None) for name in names)
        return
    path = Path(suspect).absolute()
    beside = (path if path.is_dir() else path.parent).parent
    for name in names:
        yield name, _beside(beside, name) or (None if path.is_dir() else _beside(path.parent, name))


def _on_the_hub(suspect: str, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    own, taken = hub_model(suspect).repository, 0
    for name in names:
        place = f"hf://{name}" if name.count("/") == 1 and name != own else None
        try:
            named = place is not None and bool(hub_model(place).repository)
        except UsageError:
            named = False
        taken += named
        yield name, place if named and taken <= MOST_FROM_HUB else None


def _beside(folder: Path, name: str) -> str | None:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
        return None
    home = Path(os.path.realpath(folder))
    for tail in (parts, parts[-1:]):
        for place in (folder.joinpath(*tail), folder.joinpath(*tail).with_name(f"{tail[-1]}.safetensors")):
            inside = Path(os.path.realpath(place)).is_relative_to(home)
            if inside and _is_model(place):
                return str(place)
    return None


def _is_model(path: Path) -> bool:
    if is_weight_name(path.name):
        return path.is_file()
    try:
        return path.is_dir() and format_among([p.name for p in path.iterdir()]) is not None
    except OSError:
        return False
