"""Compare the weight files that an evidence pins with those that were found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parentage.evidence.inputs.pinning import NOT_PUBLISHED
from parentage.records.absence import Absent
from parentage.records.verification import InputDifference, ValueDifference

__all__ = ["FileComparison", "compare_files"]

Plain = Mapping[str, Any]


@dataclass(slots=True)
class FileComparison:
    """``inputs``: files with other bytes; ``values``: stored values that the same bytes contradict."""

    files: int = 0
    compared: int = 0
    inputs: list[InputDifference] = field(default_factory=list)
    values: list[ValueDifference] = field(default_factory=list)


def compare_files(stored: Sequence[Plain], derived: Sequence[Plain]) -> FileComparison:
    """Both are the evidences' models as plain values, in the same order."""
    found = FileComparison()
    for one, other in zip(stored, derived, strict=False):
        _compare_model(str(one["name"]), one["shards"], other["shards"], found)
    return found


def _compare_model(
    model: str, stored: Sequence[Plain], derived: Sequence[Plain], found: FileComparison
) -> None:
    for pinned, here in _pairs(stored, derived):
        found.files += 1
        if pinned is None or here is None:
            there = pinned or here or {}
            reason = "pinned, and not there" if here is None else "there, and not pinned"
            found.inputs.append(InputDifference(model, str(there["name"]), reason, ()))
        elif _same_bytes(pinned, here):
            _check_values(f"models[{model}].shards[{pinned['name']}]", pinned, here, found)
        elif reason := _reason(pinned, here):
            found.compared += 2 + len(pinned["checksums"])
            tensors = tuple(_changed(pinned["checksums"], here["checksums"]))
            found.inputs.append(InputDifference(model, str(pinned["name"]), reason, tensors))
        else:
            _check_values(f"models[{model}].shards[{pinned['name']}]", pinned, here, found)


def _pairs(
    stored: Sequence[Plain], derived: Sequence[Plain]
) -> Iterator[tuple[Plain | None, Plain | None]]:
    """By name; what is left by its bytes, for a file that was moved may have another name."""
    names = {d["name"]: d for d in derived}
    left = {s["name"] for s in stored} ^ set(names)
    bytes_ = {d["sha256"]: d for d in derived if d["name"] in left and isinstance(d["sha256"], str)}
    used = set()
    for pinned in stored:
        digest = pinned["sha256"]
        here = names.get(pinned["name"]) or (bytes_.get(digest) if isinstance(digest, str) else None)
        if here is not None:
            used.add(here["name"])
        yield pinned, here
    for here in derived:
        if here["name"] not in used:
            yield None, here


def _same_bytes(pinned: Plain, here: Plain) -> bool:
    return isinstance(pinned["sha256"], str) and pinned["sha256"] == here["sha256"]


def _reason(pinned: Plain, here: Plain) -> str:
    """How the files differ; empty when nothing that was compared does."""
    if isinstance(pinned["sha256"], str) and isinstance(here["sha256"], str):
        return f"SHA-256 pinned {pinned['sha256']}, found {here['sha256']}"
    if pinned["size"] != here["size"]:
        return f"size pinned {pinned['size']:,} bytes, found {here['size']:,}"
    return ""


def _changed(pinned: Plain, here: Plain) -> Iterator[str]:
    for name in dict.fromkeys([*pinned, *here]):
        if pinned.get(name) != here.get(name):
            yield str(name)


def _check_values(path: str, pinned: Plain, here: Plain, found: FileComparison) -> None:
    for key in ("size", "sha256"):
        if pinned[key] == {"absent": NOT_PUBLISHED.reason}:
            continue  # nothing was pinned that these bytes could contradict
        found.compared += 1
        if pinned[key] != here[key]:
            found.values.append(ValueDifference(f"{path}.{key}", pinned[key], here[key]))
    one, other = pinned["checksums"], here["checksums"]
    absent = Absent("no checksum")
    for name in dict.fromkeys([*one, *other]):
        found.compared += 1
        if one.get(name) != other.get(name):
            where = f"{path}.checksums.{name}"
            found.values.append(ValueDifference(where, one.get(name, absent), other.get(name, absent)))
