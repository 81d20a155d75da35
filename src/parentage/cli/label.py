"""``parentage label``: verify what a merge says of itself, or label a merge that says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.errors import LabelError

if TYPE_CHECKING:
    from parentage.records.label import LabelCheck

__all__ = ["EXAMPLES", "HELP", "app"]

HELP = "What a merge says of itself: verify it, or write it for a merge that has no label."
EXAMPLES = """\
\b
Examples:
  Are the files those that the label names?
    parentage label verify ./merge
"""
VERIFY_HELP = (
    "Hash every file that the label of DIR names, compare what is said twice (parentage.json, the in-toto "
    "statement, the bill of materials, the recipe, the weight files' headers, the card), and name what is "
    "not so. Exit 5 when anything is not."
)

app = typer.Typer(help=HELP, epilog=EXAMPLES, add_completion=False, rich_markup_mode=None)

Folder = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The merge's folder.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Threads; 0: one a core. No result depends on it.")
]


@app.command("verify", help=VERIFY_HELP, epilog=EXAMPLES)
def verify(
    folder: Folder,
    workers: Workers = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Check a label and say so."""
    from parentage.cards.label_check import check_label
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing
    from parentage.cli.tables import print_json
    from parentage.records import label as records

    with progress() as report_progress:
        found = check_label(folder, workers=_cores(workers), progress=report_progress)
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


def _cores(workers: int) -> int:
    import os

    return workers or max(1, len(os.sched_getaffinity(0)))


def _check_lines(found: LabelCheck) -> Iterator[str]:
    if found.holds:
        yield f"{found.folder}: the label agrees with its files ({found.hashed:,} hashed)"
    else:
        yield f"{found.folder}: NOT what its label says (mismatches: {len(found.mismatches):,})"
    yield from (f"  {m.file or 'the label'}: {m.message} [{m.code}]" for m in found.mismatches)
    if isinstance(found.recipe_sha256, str):
        yield f"  recipe SHA-256 {found.recipe_sha256}; {_basis_words(str(found.basis))}"
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
