"""What checking an archive found, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cli.streams import plain_text, printing
from parentage.errors import ParentageError

if TYPE_CHECKING:
    from parentage.records.archive import ArchiveCheck

__all__ = ["ArchiveDiffers", "tell_archive"]

WORDS = {"agrees": "agrees", "differs": "DIFFERS", "not-rederived": "not derived again"}
SHOWN = 20


class ArchiveDiffers(ParentageError):
    """Something in the archive does not follow from what it rests on."""

    exit_code = 5
    default_code = "archive-differs"


def tell_archive(found: ArchiveCheck, path: Path, *, as_json: bool, limit: int) -> None:
    """Print it; raises :class:`ArchiveDiffers` unless all that was derived again agrees."""
    from parentage.cli.tables import print_json
    from parentage.records import archive as records

    with printing():
        if as_json:
            print_json(records.CHECK_SCHEMA, records.CHECK_VERSION, found)
        else:
            for line in _lines(found, path, limit or len(_differences(found))):
                plain_text(line)
    if not found.holds:
        differing = [step.what for step in found.steps if step.status == "differs"]
        raise ArchiveDiffers(
            f"not all of it follows: {', '.join(differing)}",
            where=str(path),
            hint="do not rely on it; ask who made it for the archive again",
        )


def _differences(found: ArchiveCheck) -> list[str]:
    return [d.path for step in found.steps for d in step.differences]


def _lines(found: ArchiveCheck, path: Path, limit: int) -> Iterator[str]:
    from parentage.records.absence import Absent

    yield f"{path}: a dossier of {found.suspect}; {found.members:,} members, each as the manifest lists it"
    if isinstance(found.signed_by, Absent):
        yield f"  signature: {found.signed_by.reason}"
    else:
        yield f"  signature: valid, by the key {found.signed_by} (SHA-256 of its public PEM)"
    for step in found.steps:
        yield f"  {step.what}: {WORDS[step.status]} ({step.detail})"
        for one in step.differences[:limit]:
            yield f"    {one.path}"
        if len(step.differences) > limit:
            yield f"    and {len(step.differences) - limit:,} more (--limit 0 lists all)"
    was, now = (_version(tool) for tool in (found.made_by, found.derived_by))
    other = "" if was == now else ", another version: texts and rules may differ for that reason alone"
    yield f"Made by {was}, derived again by {now}{other}."
    yield "Keep in mind:"
    yield from (f"  - {text}" for text in found.limits)
    if not isinstance(found.evidence, Absent):
        yield from (f"  - {text}" for text in found.evidence.limits)


def _version(tool: object) -> str:
    table = tool if isinstance(tool, dict) else {}
    return f"{table.get('name', 'an unnamed tool')} {table.get('version', 'of no version')}"
