"""Write a label beside a merge that is there already. Its weights' numbers are not touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from parentage.cards.folder_files import SIGNATURE, Progress, digests_of
from parentage.cards.header_labels import rewrite_headers
from parentage.cards.label_check import load_label
from parentage.cards.labels import MATERIALS, RECORD, STATEMENT, label_files, shard_metadata
from parentage.cards.model_card import RECIPE_FILE
from parentage.checkpoints.licence_names import is_licence_file
from parentage.errors import LabelError, UsageError
from parentage.records.json_files import write_bytes
from parentage.records.merge import MergeRecord

__all__ = ["check_unlabelled", "subjects", "write_label"]

CARD: Final = "README.md"
# A model's own card is its author's: ours is laid beside it.
SECOND_CARD: Final = "parentage-card.md"
LABEL: Final = (RECORD, STATEMENT, MATERIALS, RECIPE_FILE)
NO_SUBJECTS: Final = frozenset({CARD, SECOND_CARD, "mergekit_config.yml", *LABEL})


def check_unlabelled(folder: Path, *, replacing: bool) -> None:
    """Refuse a folder that has a label or a signature; ``UsageError`` (``label-exists``)."""
    there = [name for name in (*LABEL, SIGNATURE) if (folder / name).exists()]
    if there and not replacing:
        raise UsageError(
            f"a label or a signature is there already: {', '.join(there)}",
            code="label-exists",
            where=str(folder),
            hint="--replace writes it anew; a signature is removed, for it would not hold any more",
        )


def write_label(
    folder: Path, record: MergeRecord, beside: Mapping[str, str], *, headers: bool, replacing: bool
) -> MergeRecord:
    """Write all files of the label, ``parentage.json`` last; the record as it was written.

    ``beside``: SHA-256 of config, tokenizer and template files; ``headers``: write it to the weight files'
    metadata too. What was written before a failure is removed again.

    Raises ``UsageError``, ``OutputError``.
    """
    check_unlabelled(folder, replacing=replacing)
    card = CARD if _own_card(folder) else SECOND_CARD
    record = replace(record, basis=replace(record.basis, card=card, headers=headers))
    if headers:
        # The header names the recipe and the parents, not the files: it does not depend on what follows.
        made = rewrite_headers(folder, [f.name for f in record.files], shard_metadata(record))
        record = replace(
            record,
            files=tuple(made),
            basis=replace(record.basis, before=record.basis.before or record.files),
        )
    files = label_files(record, beside)
    known = {name for name in files if (folder / name).exists()}
    try:
        for name in sorted(files, key=lambda n: n == RECORD):
            write_bytes(folder / name, files[name])
    except BaseException:
        for name in set(files) - known:
            (folder / name).unlink(missing_ok=True)
        raise
    (folder / SIGNATURE).unlink(missing_ok=True)
    return record


def _own_card(folder: Path) -> bool:
    """There is no card, or an earlier label wrote it."""
    if not (folder / CARD).exists():
        return True
    try:
        return load_label(folder).basis.card == CARD
    except LabelError:
        return False


def subjects(folder: Path, names: list[str], *, workers: int, progress: Progress) -> Mapping[str, str]:
    """SHA-256 of what lies beside the weights and a label speaks of, by name."""
    wanted = [name for name in names if name not in NO_SUBJECTS and not is_licence_file(name)]
    return digests_of(folder, wanted, workers=workers, progress=progress)
