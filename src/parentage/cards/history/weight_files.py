"""Which files of a revision are weights, and what became of them from one revision to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parentage.checkpoints.formats.weight_names import FORMATS
from parentage.checkpoints.remote.remote_choice import safe_name
from parentage.records.absence import Absent
from parentage.records.weight_history import WeightFile, WeightVersion

__all__ = ["MOST_FILES", "FilesVersion", "change_between", "versions_of", "weight_names"]

# As many as are opened of a model at most.
MOST_FILES = 10_000
_OTHER = (".h5", ".msgpack")


@dataclass(frozen=True, slots=True)
class FilesVersion:
    """The weight files of one revision, by name."""

    revision: str
    when: str
    files: tuple[WeightFile, ...]


def weight_names(names: Iterable[str]) -> list[str]:
    """Names of weight files, sorted, at most ``MOST_FILES``; a trainer's state is none."""
    listed = [n for n in names if safe_name(n)]
    found = {n for form in FORMATS for n in form.weights(listed)} | {
        n for n in listed if n.endswith(_OTHER)
    }
    return sorted(found)[:MOST_FILES]


def versions_of(revisions: Sequence[FilesVersion]) -> tuple[WeightVersion, ...]:
    """The revisions at which weight files came, changed or went, oldest first."""
    found: list[WeightVersion] = []
    before: tuple[WeightFile, ...] = ()
    for one in revisions:
        change, altered = change_between(before, one.files)
        if change not in ("none", "same"):
            found.append(WeightVersion(one.revision, one.when, change, one.files, altered))
        before = one.files
    return tuple(found)


def change_between(before: Sequence[WeightFile], now: Sequence[WeightFile]) -> tuple[str, tuple[str, ...]]:
    """What became of the files (``CHANGES``), and the names of those that are not as they were.

    Files that were only added or taken away beside others change the set of weights, too; the same bytes
    under another name do not.
    """
    if not now:
        return ("gone", tuple(f.name for f in before)) if before else ("none", ())
    if not before:
        return "first", tuple(f.name for f in now)
    if sorted(map(_bytes, before)) == sorted(map(_bytes, now)) and all(_is_known(f) for f in now):
        return "same", ()
    old, new = {f.name: f for f in before}, {f.name: f for f in now}
    told = {n: _same(old[n], new[n]) if n in old and n in new else False for n in {*old, *new}}
    altered = tuple(sorted(n for n, same in told.items() if same is False))
    if altered:
        return "changed", altered
    return ("unknown", ()) if any(same is None for same in told.values()) else ("same", ())


def _is_known(file: WeightFile) -> bool:
    return isinstance(file.sha256, str)


def _bytes(file: WeightFile) -> str:
    return file.sha256 if isinstance(file.sha256, str) else f"{file.name} {file.object_id}"


def _same(one: WeightFile, other: WeightFile) -> bool | None:
    """Whether two files have the same bytes; ``None`` where nothing tells."""
    if not isinstance(one.sha256, Absent) and not isinstance(other.sha256, Absent):
        return one.sha256 == other.sha256
    if isinstance(one.object_id, str) and one.object_id == other.object_id:
        return True
    return False if one.size != other.size else None
