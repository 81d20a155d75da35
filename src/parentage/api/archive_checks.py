"""An archive checked: every step from inputs to pages derived again as far as it can be, and the rest told.

Nothing in an archive is run: its words are read by this version's rules, never by rules that it brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parentage import __version__
from parentage.api.archives import dossier_texts
from parentage.api.progress import Progress, silent
from parentage.api.verifying import verify_evidence
from parentage.checkpoints.remote.remote_limits import RemoteLimits
from parentage.errors import EvidenceError, ParentageError, UsageError
from parentage.evidence.rederive import value_differences
from parentage.records import card_sources, dossier, evidence
from parentage.records.absence import Absent
from parentage.records.archive import ArchiveCheck, Manifest, Step
from parentage.records.card_sources import CardSources
from parentage.records.codec import from_plain, to_plain
from parentage.records.dossier import Dossier
from parentage.records.evidence_checks import read_evidence
from parentage.records.interview import NOT_ASKED, Interview
from parentage.records.json_files import loads
from parentage.records.verification import ValueDifference, Verification
from parentage.verdicts.judge import judge

if TYPE_CHECKING:
    from parentage.cards.keys import Verifier

__all__ = ["check_archive"]

LIMITS: Final = (
    "that the steps agree says that the dossier follows from what the archive holds, not that this is "
    "true: answers and cards are as they were given to it",
    "the plan, the times and the places of files are not derived again",
)
NOT_SIGNED: Final = Absent("the archive is not signed")
NO_KEY: Final = Absent("a signature is there and was not checked: give the signer's public key (--key)")
NOT_OPENED: Final = Absent("the inputs were not opened")
EVIDENCE: Final = "evidence from the pinned inputs"


def check_archive(
    path: Path,
    *,
    key: Path | None = None,
    places: Mapping[str, str] | None = None,
    inputs: bool = True,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    progress: Progress = silent,
) -> ArchiveCheck:
    """Check an archive's members, its signature where ``key`` is given, and derive every step again.

    ``inputs`` False: the models are not opened. ``places``: where they lie now, by their names. Raises
    ``ParentageError`` for an archive that is none, or whose members are not what it lists.
    """
    from parentage.cards.archives import SIGNATURE, read_archive, signed_members

    manifest, members = read_archive(path)
    signed_by: str | Absent = NO_KEY if SIGNATURE in members else NOT_SIGNED
    if key is not None:
        from parentage.cards.keys import load_verifier

        verifier: Verifier = load_verifier(key)
        signed_members(members, verifier)
        signed_by = verifier.fingerprint
    kept = _Kept(manifest, members, str(path))
    measured: Verification | Absent = NOT_OPENED
    first = Step(EVIDENCE, "not-rederived", NOT_OPENED.reason)
    if inputs:
        first, measured = _measured(kept, places or {}, workers, limits, progress)
    return ArchiveCheck(
        suspect=manifest.suspect,
        made_by=manifest.tool,
        derived_by={"name": "parentage", "version": __version__},
        members=len(manifest.members),
        signed_by=signed_by,
        steps=(first, *_steps(kept)),
        evidence=measured,
        limits=LIMITS,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """The members, each read when it is asked for."""

    manifest: Manifest
    members: Mapping[str, bytes]
    where: str

    def plain(self, name: str, schema: str, number: int) -> dict[str, Any]:
        """A member as one of our files; ``EvidenceError`` (``archive-manifest``) where it is not there."""
        if name not in self.members:
            raise EvidenceError(f"it has no {name}", code="archive-manifest", where=self.where)
        return loads(self.members[name], schema=schema, version=number, where=f"{self.where}: {name}")

    @property
    def dossier(self) -> Dossier:
        """The dossier that was archived."""
        return dossier.from_json(self.plain("dossier.json", dossier.SCHEMA, dossier.VERSION))


def _measured(
    kept: _Kept,
    places: Mapping[str, str],
    workers: int,
    limits: RemoteLimits | None,
    progress: Progress,
) -> tuple[Step, Verification | Absent]:
    """Where inputs cannot be opened that is told, and is no difference."""
    plain = kept.plain("evidence.json", evidence.SCHEMA, evidence.VERSION)
    try:
        found = verify_evidence(plain, places=places, workers=workers, limits=limits, progress=progress)
    except UsageError:
        raise
    except ParentageError as error:
        return Step(EVIDENCE, "not-rederived", f"{error}"), Absent(f"{error}")
    if found.holds:
        told = f"{found.compared:,} values and {found.files:,} weight files agree"
        return Step(EVIDENCE, "agrees", told), found
    told = f"{len(found.inputs):,} of {found.files:,} weight files and {len(found.values):,} values differ"
    return Step(EVIDENCE, "differs", told, found.values), found


def _steps(kept: _Kept) -> Iterator[Step]:
    stored = kept.dossier
    yield _step("report from the evidence", lambda: _report(kept, stored))
    yield _step("readings from the answers", lambda: _readings(kept, stored))
    yield _step("claims from the card's text", lambda: _claims(kept, stored))
    yield _step("dossier from its parts", lambda: _dossier(stored))
    yield _step("reports and pages from the dossier", lambda: _pages(kept, stored))


_Found = tuple[ValueDifference, ...] | str


def _step(what: str, derive: Callable[[], _Found]) -> Step:
    """``derive`` gives differences, or why there is nothing to derive from."""
    found = derive()
    if isinstance(found, str):
        return Step(what, "not-rederived", found)
    if found:
        return Step(what, "differs", f"{len(found):,} values differ", found)
    return Step(what, "agrees", "every value follows")


def _compared(stored: object, derived: object) -> tuple[ValueDifference, ...]:
    """Without the tool's version, which says who derived it."""
    one, other = to_plain(stored), to_plain(derived)
    for plain in (one, other):
        plain.pop("tool", None)
    return value_differences(one, other)


def _report(kept: _Kept, stored: Dossier) -> _Found:
    if isinstance(stored.audit, Absent):
        return stored.audit.reason
    plain = kept.plain("evidence.json", evidence.SCHEMA, evidence.VERSION)
    derived = judge(read_evidence(plain))
    # What reading cost is of that run alone.
    coverage = replace(derived.coverage, network=stored.audit.coverage.network)
    return _compared(stored.audit, replace(derived, coverage=coverage))


def _readings(kept: _Kept, stored: Dossier) -> _Found:
    from parentage.behaviour.answers_file import parsed_answers
    from parentage.behaviour.interviews import read_interview

    if isinstance(stored.interview, Absent):
        return stored.interview.reason
    wanted = [s.label for s in stored.interview.subjects]
    files = {label: kept.members.get(f"answers/{label}.jsonl") for label in wanted}
    if any(data is None for data in files.values()):
        return "the answers are not in the archive: a saved interview was given"
    found = [
        (label, parsed_answers(data, f"{kept.where}: answers/{label}.jsonl"))
        for label, data in files.items()
        if data is not None
    ]
    return _compared(_plain_readings(stored.interview), read_interview(found))


def _plain_readings(found: Interview) -> Interview:
    """Without what rests on more than the answers."""
    return replace(found, recital=NOT_ASKED, second_reading=NOT_ASKED, line=NOT_ASKED)


def _claims(kept: _Kept, stored: Dossier) -> _Found:
    from parentage.verdicts.cards.from_sources import card_report as weighed

    if isinstance(stored.card, Absent):
        return stored.card.reason
    plain = kept.plain("card/sources.json", card_sources.SCHEMA, card_sources.VERSION)
    sources = from_plain(CardSources, plain, f"{kept.where}: card/sources.json")
    if sources.words:
        return "the card was read with further words, and rules of others are not run"
    derived = weighed(sources, stored.audit, stored.interview, stored.card.asked)
    return (*_readable(kept, sources), *_compared(stored.card, derived))


def _readable(kept: _Kept, sources: CardSources) -> Iterator[ValueDifference]:
    """The card that people read is the one that the rules read."""
    text = sources.card.text.encode("utf-8", errors="backslashreplace")
    if kept.members.get("card/README.md") != text:
        yield ValueDifference("card/README.md", "another text", "the card that was read")


def _dossier(stored: Dossier) -> _Found:
    from parentage.verdicts.dossier.compose import compose

    derived = compose(stored.suspect, stored.audit, stored.interview, stored.card, stored.asked)
    return _compared(stored, derived)


def _pages(kept: _Kept, stored: Dossier) -> _Found:
    """Reports that lie beside the dossier are those within it; pages are its own, letter by letter."""
    if stored.tool.get("version") != __version__:
        return f"made by version {stored.tool.get('version')}, whose pages this version does not make"
    texts = dossier_texts(stored)
    return tuple(
        ValueDifference(name, "another text", "what the dossier gives")
        for name, text in texts.items()
        if kept.members.get(name) != text.encode("utf-8", errors="backslashreplace")
    )
