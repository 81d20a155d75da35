"""Archives of dossiers: all that a dossier rests on but the weights, in one file, signed if wanted."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parentage import __version__
from parentage.api.dossiers import DossierResult
from parentage.errors import ParentageError
from parentage.records import card_report, card_sources, evidence, interview
from parentage.records import report as reports
from parentage.records.absence import Absent
from parentage.records.archive import Manifest, Member, PinnedInput
from parentage.records.codec import to_plain
from parentage.records.dossier import Dossier, to_json
from parentage.records.evidence import Evidence, ModelRole
from parentage.records.json_files import dumps, write_bytes

if TYPE_CHECKING:
    from parentage.cards.keys import Signer

__all__ = ["CONTENTS", "archive_of", "dossier_texts", "is_archive", "save_archive"]

# Names in an archive, and what each is.
CONTENTS: Final = {
    "answers/": "answers, word for word",
    "card/README.md": "the card, word for word",
    "card/report.json": "the card's claims against the evidence",
    "card/sources.json": "what the card was read from and weighed with, its versions included",
    "dossier.html": "the dossier as a page",
    "dossier.json": "the dossier",
    "dossier.txt": "the dossier as text",
    "evidence.json": "what was measured on the weights",
    "interview.json": "readings of the answers",
    "report.json": "what the audit concluded",
}
_LIBRARIES: Final = ("numpy", "numba", "scipy", "jinja2", "markdown-it-py", "pyyaml")


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its first bytes; no, where it cannot be opened."""
    from parentage.cards.archives import is_archive as begins_so

    try:
        return begins_so(path)
    except ParentageError:  # whoever reads it next says what is wrong with it
        return False


def save_archive(made: DossierResult, path: Path, *, signer: Signer | None = None) -> None:
    """Write the archive of a dossier; equal dossiers give equal bytes, but for a signature's own chance.

    Raises ``OutputError``.
    """
    write_bytes(path, archive_of(made, signer))


def archive_of(made: DossierResult, signer: Signer | None = None) -> bytes:
    """The archive's bytes."""
    from parentage.cards.archives import packed

    members = {name: text.encode("utf-8", errors="backslashreplace") for name, text in _texts(made).items()}
    manifest = Manifest(
        tool={"name": "parentage", "version": __version__},
        versions=_versions(),
        suspect=made.dossier.suspect,
        members=tuple(
            Member(name, hashlib.sha256(data).hexdigest(), len(data), _what(name))
            for name, data in sorted(members.items())
        ),
        inputs=tuple(_inputs(made.evidence)),
    )
    return packed(manifest, members, signer)


def _what(name: str) -> str:
    return CONTENTS.get(name, CONTENTS.get(f"{name.partition('/')[0]}/", ""))


def _texts(made: DossierResult) -> dict[str, str]:
    from parentage.behaviour.answers_file import answers_text

    header = {"schema": evidence.SCHEMA, "version": evidence.VERSION}
    found = {
        "evidence.json": dumps({**header, **to_plain(made.evidence)}, compact=True),
        **dossier_texts(made.dossier),
        **{f"answers/{label}.jsonl": answers_text(said) for label, said in made.answers.items()},
    }
    if not isinstance(made.sources, Absent):
        header = {"schema": card_sources.SCHEMA, "version": card_sources.VERSION}
        found["card/sources.json"] = dumps({**header, **to_plain(made.sources)})
        found["card/README.md"] = made.sources.card.text
    return found


def dossier_texts(dossier: Dossier) -> dict[str, str]:
    """What follows from a dossier alone: its renderings, and the reports that are in it."""
    from parentage.reports.dossier_html import render
    from parentage.reports.dossier_text import render_text

    found = {
        "dossier.json": dumps(to_json(dossier)),
        "dossier.txt": render_text(dossier),
        "dossier.html": render(dossier),
    }
    if not isinstance(dossier.audit, Absent):
        found["report.json"] = dumps(reports.to_json(dossier.audit))
    parts: Mapping[str, tuple[object, str, int]] = {
        "interview.json": (dossier.interview, interview.SCHEMA, interview.VERSION),
        "card/report.json": (dossier.card, card_report.SCHEMA, card_report.VERSION),
    }
    for name, (record, schema, number) in parts.items():
        if not isinstance(record, Absent):
            found[name] = dumps({"schema": schema, "version": number, **to_plain(record)})
    return found


def _inputs(found: Evidence) -> list[PinnedInput]:
    return [
        PinnedInput(m.name, m.role.value, m.locator, m.revision, {s.name: s.sha256 for s in m.shards})
        for m in found.models
        if m.role is not ModelRole.SHUFFLED
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
