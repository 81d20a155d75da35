"""Sign a model's folder, and check such a signature: every file, none more and none less."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parentage.cards.bundles import MOST_BUNDLE, Manifest, bundle_of, manifest_in
from parentage.cards.folder_files import GIT, SIGNATURE, Progress, checked_name, digests_of, walk
from parentage.cards.keys import Signer, Verifier
from parentage.checkpoints.places import safe_file
from parentage.errors import LabelError, UsageError
from parentage.records.json_files import write_bytes

__all__ = ["SIGNATURE_LIMIT", "Checked", "check_signature", "refuse_links", "sign_folder"]

SIGNATURE_LIMIT: Final = (
    "A valid signature shows that whoever holds the private key signed these very files. It does not show "
    "who that is, when it was, nor that what they signed is true, harmless or made as the label says."
)
ALWAYS_LEFT_OUT: Final = frozenset({SIGNATURE, *GIT})


@dataclass(frozen=True, slots=True)
class Checked:
    """``mismatches``: what does not hold, in order; ``files``: how many the signature speaks of."""

    mismatches: tuple[LabelError, ...]
    files: int
    left_out: tuple[str, ...]


def refuse_links(folder: Path) -> None:
    """A signature speaks of files, not of what a link leads to; ``UsageError`` (``sign-link``)."""
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            if path.is_symlink():
                raise UsageError(
                    "a link cannot be signed",
                    code="sign-link",
                    where=str(path),
                    hint="put the file itself in its place (cp -L)",
                )


def sign_folder(
    folder: Path,
    signer: Signer,
    *,
    name: str,
    known: Mapping[str, str],
    workers: int,
    progress: Progress,
    ignored: tuple[str, ...] = (),
) -> None:
    """Write ``model.sig`` over all files of the folder but git's own and ``ignored`` (which must be gone
    when it is checked); ``known``: SHA-256 of files that need not be read again.

    Raises ``UsageError`` (``sign-link``), ``OutputError``.
    """
    refuse_links(folder)
    all_names = [checked_name(n) for n in walk(folder, (*ALWAYS_LEFT_OUT, *ignored))]
    names = [n for n in all_names if n not in known]
    digests = {**known, **digests_of(folder, names, workers=workers, progress=progress)}
    write_bytes(folder / SIGNATURE, bundle_of(name, digests, signer))


def check_signature(
    folder: Path,
    verifier: Verifier,
    *,
    known: Mapping[str, str],
    workers: int,
    progress: Progress,
) -> Checked:
    """Check ``model.sig``; ``known``: SHA-256 of files that were hashed just now.

    An invalid signature is the one mismatch: what it says of files is not looked at then.
    """
    try:
        manifest = manifest_in(_bundle(folder), verifier)
    except LabelError as error:
        error.where = error.where or SIGNATURE
        return Checked((error,), 0, ())
    left_out = frozenset(manifest.ignored) | ALWAYS_LEFT_OUT
    there = tuple(walk(folder, left_out))
    wanted = [n for n in manifest.digests if n not in known]
    digests = {**known, **digests_of(folder, wanted, workers=workers, progress=progress)}
    unusual = tuple(sorted(frozenset(manifest.ignored) - ALWAYS_LEFT_OUT))
    return Checked(tuple(_unlike(manifest, digests, there)), len(manifest.digests), unusual)


def _bundle(folder: Path) -> bytes:
    if not (folder / SIGNATURE).exists():
        raise LabelError(
            "there is no signature: no model.sig lies beside the weights",
            code="signature-missing",
            hint="leave --key out to check the label alone",
        )
    with safe_file(folder, SIGNATURE).open("rb") as file:
        raw = file.read(MOST_BUNDLE + 1)
    if len(raw) > MOST_BUNDLE:
        raise LabelError("it is larger than any signature", code="signature-malformed")
    return raw


def _unlike(manifest: Manifest, digests: Mapping[str, str], there: tuple[str, ...]) -> Iterator[LabelError]:
    for name, digest in manifest.digests.items():
        if name not in digests:
            yield LabelError("it was signed, and is not there", code="signature-file-missing", where=name)
        elif digests[name] != digest:
            yield LabelError(
                f"its SHA-256 is {digests[name]}; {digest} was signed",
                code="signature-file-changed",
                where=name,
            )
    for name in there:
        if name not in manifest.digests:
            yield LabelError("it is there, and was not signed", code="signature-file-extra", where=name)
