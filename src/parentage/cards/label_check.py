"""Does a label say what is so? Every file hashed again, everything that is written twice compared.

``parentage.json`` holds the whole record; the statement, the bill of materials, the recipe, the headers'
metadata and the card follow from it, so each of them is made again and held against what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from parentage import __version__
from parentage.cards.bill_of_materials import bill_of_materials
from parentage.cards.card_check import card_mismatches
from parentage.cards.comparing import differences, few, json_of, text_of
from parentage.cards.folder_files import GIT, SIGNATURE, Progress, checked_name, digests_of, walk
from parentage.cards.keys import Verifier
from parentage.cards.labels import MATERIALS, RECORD, STATEMENT, recipe_text_of, shard_metadata
from parentage.cards.model_card import RECIPE_FILE, model_card
from parentage.cards.signing import SIGNATURE_LIMIT, Checked, check_signature
from parentage.cards.statements import statement
from parentage.checkpoints.formats.headers import Header, read_header
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.formats.weight_names import is_weight_name
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.places import safe_file
from parentage.errors import EvidenceError, InputMissingError, LabelError, ParentageError
from parentage.records.absence import Absent
from parentage.records.codec import from_plain
from parentage.records.json_files import load_json
from parentage.records.label import LabelCheck, LabelMismatch
from parentage.records.merge import SCHEMA, VERSION, MergeRecord
from parentage.records.recipe import plain_digest

__all__ = ["LIMITS", "check_label", "load_label", "mismatch"]

INDEX: Final = "model.safetensors.index.json"
MOST_RECORD: Final = 2**26
NOT_ASKED: Final = Absent("no public key was given: a signature was not looked for")
NOT_HELD: Final = Absent("the signature does not hold")
WORDS: Final = (".description", ".notes")
LIMITS: Final = (
    "A label is what somebody wrote beside these weights. That it agrees with them does not prove that "
    "the parents are what their names say, nor who wrote it: who changes the weights can write it anew.",
    "With the parents at hand, parentage replay makes the weights again and compares every bit: that "
    "proves how the numbers came about, and nothing else.",
)


def load_label(folder: Path) -> MergeRecord:
    """The record beside the weights; raises ``LabelError`` (``label-missing``, ``label-malformed``)."""
    path = folder / RECORD
    if not folder.is_dir():
        raise InputMissingError("there is no such folder", where=str(folder), hint="name a merge's folder")
    if not path.exists():
        raise LabelError(
            "there is no label: no parentage.json lies beside the weights",
            code="label-missing",
            where=str(folder),
            hint="parentage label write labels a merge that has none",
        )
    try:
        plain = load_json(safe_file(folder, RECORD), schema=SCHEMA, version=VERSION, max_bytes=MOST_RECORD)
        record = from_plain(MergeRecord, plain)
        for file in record.files:
            checked_name(file.name)
    except (EvidenceError, LabelError) as error:
        raise LabelError(
            f"parentage.json is no label: {error.message}",
            code="label-malformed",
            where=error.where or str(path),
            hint="do not trust this label",
        ) from None
    return record


def check_label(
    folder: Path, *, verifier: Verifier | None = None, workers: int, progress: Progress
) -> LabelCheck:
    """Compare everything; with ``verifier`` the signature too.

    Raises ``LabelError`` only where there is no label that could be compared.
    """
    record = load_label(folder)
    said = _Said(folder, record)
    there = tuple(walk(folder, (*GIT, SIGNATURE)))
    digests = digests_of(folder, said.names, workers=workers, progress=progress)
    signed = None
    if verifier is not None:
        signed = check_signature(folder, verifier, known=digests, workers=workers, progress=progress)
    found = (
        *(() if signed is None else signed.mismatches),
        *_recipe(record, folder),
        *said.statement_mismatches,
        *_files(said, digests, there),
        *_headers(folder, record, digests),
        *_index(folder, record, digests),
        *_materials(folder, record),
        *card_mismatches(text_of(folder, record.basis.card), record),
    )
    return LabelCheck(
        tool={"name": "parentage", "version": __version__},
        folder=str(folder),
        recipe_sha256=record.recipe_sha256,
        basis=record.basis.kind,
        hashed=len(digests),
        signed_by=_signed_by(verifier, signed),
        mismatches=tuple(mismatch(e) for e in found),
        notes=(*_notes(folder, record, said, there), *_signature_notes(folder, signed)),
        limits=LIMITS if signed is None else (*LIMITS, SIGNATURE_LIMIT),
    )


def _signed_by(verifier: Verifier | None, signed: Checked | None) -> str | Absent:
    if verifier is None or signed is None:
        return NOT_ASKED
    return verifier.fingerprint if not signed.mismatches else NOT_HELD


def _signature_notes(folder: Path, signed: Checked | None) -> Iterator[str]:
    if signed is None and (folder / SIGNATURE).exists():
        yield f"{SIGNATURE} was not looked at: --key names the public key to check it with."
    if signed is not None and signed.left_out:
        yield f"Whoever signed left out {few(signed.left_out)}: the signature says nothing of them."


def mismatch(error: ParentageError) -> LabelMismatch:
    """An error as a line of the check."""
    return LabelMismatch(error.code, error.where, error.message)


class _Said:
    """What the record and the statement say of files: by name, by whom, which SHA-256."""

    def __init__(self, folder: Path, record: MergeRecord) -> None:
        self.digests: dict[str, dict[str, str]] = {}
        for file in record.files:
            if isinstance(file.sha256, str):
                self._add(file.name, RECORD, file.sha256)
        self.names_of_weights = frozenset(f.name for f in record.files)
        self.statement_mismatches: tuple[LabelError, ...] = tuple(self._statement(folder, record))

    def _add(self, name: str, who: str, digest: str) -> None:
        self.digests.setdefault(name, {})[who] = digest

    @property
    def names(self) -> tuple[str, ...]:
        """Every file that something is said of."""
        return tuple(sorted(self.digests))

    def _statement(self, folder: Path, record: MergeRecord) -> Iterator[LabelError]:
        found = json_of(folder, STATEMENT)
        if found is None:
            yield _lacking(STATEMENT)
            return
        subjects = found.get("subject")
        beside = {}
        for one in subjects if isinstance(subjects, list) else ():
            name, digest = _subject(one)
            if name:
                self._add(name, STATEMENT, digest)
            if name and name not in self.names_of_weights:
                beside[name] = digest
        places = differences(statement(record, beside), found)
        if places:
            yield LabelError(
                f"the statement says otherwise than parentage.json at {few(places)}",
                code="label-statement-differs",
                where=STATEMENT,
            )


def _subject(one: Any) -> tuple[str, str]:
    """Name and SHA-256 of one subject; empty where it has none that is safe to look at."""
    digest = one.get("digest") if isinstance(one, dict) else None
    value = digest.get("sha256") if isinstance(digest, dict) else None
    name = one.get("name") if isinstance(one, dict) else None
    if not isinstance(name, str) or not isinstance(value, str):
        return "", ""
    try:
        return checked_name(name), value
    except LabelError:
        return "", ""


def _lacking(name: str) -> LabelError:
    return LabelError("it is not there, or is no JSON object", code="label-part-missing", where=name)


def _recipe(record: MergeRecord, folder: Path) -> Iterator[LabelError]:
    if plain_digest(record.recipe) != record.recipe_sha256:
        yield LabelError(
            "the recipe in it has another SHA-256 than it says", code="label-recipe-differs", where=RECORD
        )
    if text_of(folder, RECIPE_FILE) != recipe_text_of(record):
        yield LabelError(
            "it is not there, or is another recipe than that of parentage.json",
            code="label-recipe-differs",
            where=RECIPE_FILE,
        )


def _files(said: _Said, digests: Mapping[str, str], there: Sequence[str]) -> Iterator[LabelError]:
    for name in said.names:
        by = said.digests[name]
        if name not in digests:
            yield LabelError(
                f"the label names it, and it is not there (said by {', '.join(by)})",
                code="label-file-missing",
                where=name,
            )
            continue
        wrong = [who for who, digest in by.items() if digest != digests[name]]
        if wrong:
            yield LabelError(
                f"its SHA-256 is {digests[name]}; {shown(by[wrong[0]])} by {' and '.join(wrong)}",
                code="label-file-changed",
                where=name,
            )
    for name in there:
        if is_weight_name(name) and name not in said.digests and name not in said.names_of_weights:
            yield LabelError(
                "a weight file that the label does not name", code="label-file-extra", where=name
            )


def _headers(folder: Path, record: MergeRecord, digests: Mapping[str, str]) -> Iterator[LabelError]:
    wanted = shard_metadata(record)
    for name in (f.name for f in record.files if f.name in digests):
        header = _header(folder, name)
        carried = {} if header is None else header.metadata
        # A label that was written beside the weights alone is not contradicted by one inside them.
        keys = [key for key in wanted if key != "format" and (record.basis.headers or key in carried)]
        off = [key for key in keys if carried.get(key) != wanted[key]]
        off += [key for key in carried if key.startswith("parentage.") and key not in wanted]
        if off:
            yield LabelError(
                f"its header's metadata say otherwise than parentage.json: {few(off)}",
                code="label-header-differs",
                where=name,
            )


def _header(folder: Path, name: str) -> Header | None:
    try:
        file = LocalFile(name, safe_file(folder, name))
    except InputMissingError:
        return None
    try:
        return read_header(file, lambda other: LocalFile(other, safe_file(folder, other)))
    except ParentageError:
        return None
    finally:
        file.close()


def _index(folder: Path, record: MergeRecord, digests: Mapping[str, str]) -> Iterator[LabelError]:
    """Where it lies, a loader follows it: it names the tensors of these files, each where it is."""
    if not (folder / INDEX).exists():
        return
    found = json_of(folder, INDEX) or {}
    headers = {f.name: _header(folder, f.name) for f in record.files if f.name in digests}
    inside = {t.name: name for name, h in headers.items() if h is not None for t in h.tensors}
    if found.get("weight_map") != inside:
        yield LabelError(
            "it does not say in which of the label's weight files each tensor lies",
            code="label-index-differs",
            where=INDEX,
        )


def _materials(folder: Path, record: MergeRecord) -> Iterator[LabelError]:
    found = json_of(folder, MATERIALS)
    if found is None:
        yield _lacking(MATERIALS)
        return
    # Sentences may be worded otherwise by another version.
    places = [p for p in differences(bill_of_materials(record), found) if not p.endswith(WORDS)]
    if places:
        yield LabelError(
            f"it says otherwise than parentage.json at {few(places)}",
            code="label-materials-differ",
            where=MATERIALS,
        )


def _notes(folder: Path, record: MergeRecord, said: _Said, there: Sequence[str]) -> Iterator[str]:
    unhashed = [f.name for f in record.files if not isinstance(f.sha256, str)]
    if unhashed:
        yield f"The label gives no SHA-256 of {few(unhashed)}: nothing can be said of it."
    if not record.basis.headers:
        yield "The weight files carry no label of their own: one of them alone does not say what it is."
    text = text_of(folder, record.basis.card)
    if text is not None and text != model_card(record):
        yield f"{record.basis.card} was edited since it was written: only its claims were compared."
    own = {RECORD, STATEMENT, MATERIALS, RECIPE_FILE, record.basis.card, INDEX}
    beside = [n for n in there if n not in said.digests and n not in own and not is_weight_name(n)]
    if beside:
        yield f"Files that the label says nothing of: {few(beside)}."
