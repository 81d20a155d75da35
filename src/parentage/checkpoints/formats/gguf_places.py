"""Which GGUF files of a folder are one model: a file alone, or the parts of a split one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import CheckpointError

__all__ = ["ENDING", "gguf_files", "parts_of", "split_oddities"]

ENDING = ".gguf"
_PART = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


def gguf_files(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The files of the only model among ``names``, in order.

    Raises ``CheckpointError``: ``gguf-several`` where the folder holds more than one model,
    ``gguf-part-absent``.
    """
    models: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names):
        match = _PART.match(name)
        key = (match["stem"], match["count"]) if match else (name, "")
        models.setdefault(key, []).append(name)
    if len(models) > 1:
        firsts = [files[0] for files in models.values()]
        raise CheckpointError(
            f"{len(models)} models in GGUF: {', '.join(shown(n) for n in firsts[:4])}",
            code="gguf-several",
            where=where,
            hint="name the file of one of them, or the first of its parts",
        )
    (files,) = models.values()
    return _complete(files, where)


def parts_of(name: str, names: Sequence[str], where: str) -> tuple[str, ...]:
    """The file that was named; with a first part, all parts of its model."""
    match = _PART.match(name)
    if match is None or int(match["number"]) != 1:
        return (name,)
    others = [n for n in names if (m := _PART.match(n)) and m.group("stem", "count") == match.group(1, 3)]
    return _complete(sorted({name, *others}), where)


def _complete(files: list[str], where: str) -> tuple[str, ...]:
    match = _PART.match(files[0])
    if match is None:
        return tuple(files)
    count, there = int(match["count"]), {int(m["number"]) for f in files if (m := _PART.match(f))}
    missing = next((k for k in range(1, count + 1) if k not in there), None)
    if missing is not None or len(files) != count:
        name = f"{match['stem']}-{missing or max(there):05d}-of-{match['count']}{ENDING}"
        told = "is not there" if missing else "is a part too many"
        raise CheckpointError(
            f"{shown(name)} {told}", code="gguf-part-absent", where=where, hint="finish the download"
        )
    return tuple(files)


def split_oddities(metadata: Mapping[str, str], files: int) -> tuple[str, ...]:
    """A part of a split model that was named alone."""
    count = metadata.get("split.count", "")
    if not count.isdecimal() or int(count[:9]) in (0, 1, files):
        return ()
    return (f"{files} of the {count[:9]} parts of a split model: the tensors of the others are not read",)
