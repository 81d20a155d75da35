"""``parentage label``: verify what a merge says of itself, or label a merge that says nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.errors import LabelError

if TYPE_CHECKING:
    from parentage.cards.keys import Signer
    from parentage.records.label import LabelCheck
    from parentage.records.merge import MergeRecord

__all__ = ["EXAMPLES", "HELP", "Sign", "app", "signer_of"]

PASSWORD = "PARENTAGE_KEY_PASSWORD"

HELP = "What a merge says of itself: verify it, or write it for a merge that has no label."
EXAMPLES = """\
\b
Examples:
  Are the files those that the label names?
    parentage label verify ./merge
  And who holds the key signed them, as they are:
    parentage label verify ./merge --key public.pem
  Label a merge whose recipe is known; it is carried out to see whether it makes every bit:
    parentage label write ./merge --recipe recipe.yaml
  Label a merge that an audit found:
    parentage audit ./merge -p ./a -p ./b --evidence evidence.json
    parentage label write ./merge --evidence evidence.json
"""
VERIFY_HELP = (
    "Hash every file that the label of DIR names, compare what is said twice (parentage.json, the in-toto "
    "statement, the bill of materials, the recipe, the weight files' headers, the card), and name what is "
    "not so. Exit 5 when anything is not."
)

WRITE_HELP = (
    "Label the merge in DIR, whoever made it, in files beside the weights, whose numbers are not changed. "
    "With --recipe the recipe is carried out first and every bit compared; with --evidence the label says "
    "that the recipe was recovered by an audit, and no more than the evidence carries. A model card that "
    "is there stays."
)

app = typer.Typer(help=HELP, epilog=EXAMPLES, add_completion=False, rich_markup_mode=None)

Folder = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The merge's folder.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Threads; 0: one a core. No result depends on it.")
]


Sign = Annotated[
    Path | None,
    typer.Option(
        "--sign",
        help="A private key in PEM (P-256): sign all files, in model.sig. If it is encrypted, "
        "PARENTAGE_KEY_PASSWORD holds the password.",
    ),
]


@app.command("verify", help=VERIFY_HELP, epilog=EXAMPLES)
def verify(
    folder: Folder,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="A public key in PEM: check the signature, model.sig, with it."),
    ] = None,
    workers: Workers = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Check a label and say so."""
    from parentage import labels
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing
    from parentage.cli.tables import print_json
    from parentage.records import label as records

    with progress() as report_progress:
        found = labels.verify_label(folder, key=key, workers=workers, progress=report_progress)
    with printing():
        if as_json:
            print_json(records.SCHEMA, records.VERSION, found)
        else:
            for line in _check_lines(found):
                plain_text(line)
    if not found.holds:
        first = found.mismatches[0]
        more = len(found.mismatches) - 1
        raise LabelError(
            first.message + (f"; and {more:,} more" if more else ""),
            code=first.code,
            where=f"{folder / first.file}" if first.file else str(folder),
            hint="do not rely on this label; fetch the files again if you expected them to agree",
        )


@app.command("write", help=WRITE_HELP, epilog=EXAMPLES)
def write(
    folder: Folder,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="The recipe that made it.")] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="An audit's evidence in which DIR is the suspect.")
    ] = None,
    headers: Annotated[
        bool,
        typer.Option("--headers", help="Also in the weight files' metadata: each is written anew, whole."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Where there is a label already.")] = False,
    unproven: Annotated[
        bool,
        typer.Option("--unproven", help="Label although the recipe does not make every bit; it says so."),
    ] = False,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Whose arithmetic, instead of the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the recipe's.")] = None,
    sign: Sign = None,
    workers: Workers = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Label and say so."""
    from parentage import labels
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing
    from parentage.cli.tables import print_json
    from parentage.records import merge as records

    merge = labels.MergeOptions(profile, seed, workers=workers, signer=signer_of(sign))
    options = labels.LabelOptions(merge, headers, replace, unproven)
    with progress() as report_progress:
        found = labels.label(
            folder, recipe=recipe, evidence=evidence, options=options, progress=report_progress
        )
    with printing():
        if as_json:
            print_json(records.SCHEMA, records.VERSION, found)
            return
        for line in _written_lines(found, folder):
            plain_text(line)


def signer_of(path: Path | None) -> Signer | None:
    """The key, and a word where others may read it."""
    if path is None:
        return None
    from parentage.cards.keys import load_signer

    signer = load_signer(path, os.environ.get(PASSWORD))
    if signer.warning:
        sys.stderr.write(f"warning: {signer.warning}\n")
    return signer


def _written_lines(found: MergeRecord, folder: Path) -> Iterator[str]:
    from parentage.cards.model_card import plain_sentence

    yield f"{folder}: labelled; {_basis_words(found.basis.kind)}"
    yield f"  {plain_sentence(found)}"
    yield from (f"note: {note}" for note in found.notes)
    for file in found.files:
        yield f"  {file.name} SHA-256 {file.sha256}"
    if found.basis.card != "README.md":
        yield f"README.md stays as it was; what a card should say is in {found.basis.card}."
    if not found.basis.headers:
        yield "The weight files were not touched; --headers writes the label into them too."


def _check_lines(found: LabelCheck) -> Iterator[str]:
    if found.holds:
        yield f"{found.folder}: the label agrees with its files ({found.hashed:,} hashed)"
    else:
        yield f"{found.folder}: NOT what its label says (mismatches: {len(found.mismatches):,})"
    yield from (f"  {m.file or 'the label'}: {m.message} [{m.code}]" for m in found.mismatches)
    if isinstance(found.recipe_sha256, str):
        yield f"  recipe SHA-256 {found.recipe_sha256}; {_basis_words(str(found.basis))}"
    if isinstance(found.signed_by, str):
        yield f"  signed, validly, with the key {found.signed_by} (SHA-256 of its public PEM)"
    yield from (f"note: {note}" for note in found.notes)
    yield "Keep in mind:"
    yield from (f"  - {text}" for text in found.limits)


def _basis_words(kind: str) -> str:
    words = {
        "made": "the label says that it was written by the run that made the weights",
        "replayed": "the label says that the recipe was carried out again and every bit compared",
        "stated": "the label says that the recipe was stated, and not proven",
        "recovered": "the label says that an audit recovered the recipe",
    }
    return words.get(kind, "the label does not say how its recipe is known")
