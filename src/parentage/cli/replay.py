"""``parentage replay``: make a recipe's merge again and compare every bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.errors import ParentageError

if TYPE_CHECKING:
    from parentage.records.rebuild import Rebuild, RebuiltTensor

__all__ = ["EXAMPLES", "HELP", "ReplayDiffers", "command"]

HELP = (
    "Make the merge that RECIPE describes again, from its parents, and compare it with SUSPECT: each "
    "tensor's elements, and the SHA-256 of each weight file, made of the suspect's own header and the "
    "rebuilt weights. Nothing is written. Exit 5 when anything differs."
)
EXAMPLES = """\
\b
Examples:
  Is this the merge that its recipe describes?
    parentage replay merge-recipe.yaml ./model
  Prove it by the digests that a hub publishes, without fetching the suspect's weights:
    parentage replay recipe.yaml org/merge --by-digest
  Carry out what an audit recovered:
    parentage audit ./model -p ./a -p ./b --recipe-out found.yaml
    parentage replay found.yaml ./model
"""


class ReplayDiffers(ParentageError):
    """The suspect is not what the recipe makes."""

    exit_code = 5
    default_code = "replay-differs"


def command(
    recipe: Annotated[Path, typer.Argument(readable=False, help="A recipe in YAML.")],
    suspect: Annotated[str, typer.Argument(help="The model to compare with.")],
    by_digest: Annotated[
        bool,
        typer.Option(
            "--by-digest",
            help="Compare with the SHA-256 that the suspect's place publishes; read headers only.",
        ),
    ] = False,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Whose arithmetic, instead of the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the recipe's.")] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Threads; 0: one a core. No result depends on it.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Differing tensors listed; 0: all.")] = 20,
) -> None:
    """Replay and say so."""
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing
    from parentage.cli.tables import print_json
    from parentage.merging.merge import MergeOptions, replay_merge
    from parentage.merging.recipe_reading import read_recipe
    from parentage.records import rebuild as records

    options = MergeOptions(profile, seed, digests=False, workers=workers)
    with progress() as report_progress:
        found = replay_merge(
            read_recipe(recipe), suspect, options, read=not by_digest, progress=report_progress
        )
    with printing():
        if as_json:
            print_json(records.SCHEMA, records.VERSION, found)
        else:
            for line in _lines(found, limit):
                plain_text(line)
    if not found.holds:
        raise ReplayDiffers(
            f"{suspect} is not, bit for bit, what the recipe makes",
            where=str(recipe),
            hint="another arithmetic (--profile), other revisions of the parents, or a change afterwards",
        )


def _lines(found: Rebuild, limit: int) -> Iterator[str]:
    verdict = "every bit is what the recipe makes" if found.holds else "it is not what the recipe makes"
    yield f"{found.suspect}: {verdict} ({found.method}, {found.profile})"
    if isinstance(found.matches, int) and isinstance(found.informative_matches, int):
        yield f"  elements that match: {_share(found.matches, found.elements)}"
        yield (
            "  where the parents differ from each other: "
            f"{_share(found.informative_matches, found.informative)}"
        )
    for file in found.files:
        yield f"  {file.name}: {'the same SHA-256' if file.equal else 'not the same'}"
        yield f"    rebuilt {_digest(file.rebuilt)}"
        yield f"    {'published' if file.published else 'found'} {_digest(file.found)}"
    yield from _unlike(found, limit)
    yield from (f"note: {note}" for note in found.notes)
    yield ("A match says how the numbers came about, not by whom; equal parents leave nothing to be told.")


def _digest(value: object) -> str:
    from parentage.records.absence import Absent

    return f"– ({value.reason})" if isinstance(value, Absent) else str(value)


def _share(part: int, whole: int) -> str:
    # Never rounded up to 1: one element off is not a match.
    share = "–" if whole == 0 else f"{int(10**6 * part / whole) / 10**6 if part < whole else 1:.6f}"
    return f"{share} ({part:,} of {whole:,})"


def _unlike(found: Rebuild, limit: int) -> Iterator[str]:
    unlike = [t for t in found.tensors if isinstance(t.equal_bits, int) and t.equal_bits < t.elements]
    shown = unlike[:limit] if limit else unlike
    for tensor in shown:
        yield from _tensor_lines(tensor)
    if len(shown) < len(unlike):
        yield f"  and {len(unlike) - len(shown):,} more tensors that differ (--limit 0 lists all)"
    lacking = found.unmatched[:limit] if limit else found.unmatched
    yield from (f"  {one.tensor}: {one.reason}" for one in lacking)
    if len(lacking) < len(found.unmatched):
        yield f"  and {len(found.unmatched) - len(lacking):,} more that could not be compared"


def _tensor_lines(tensor: RebuiltTensor) -> Iterator[str]:
    matches = tensor.matches if isinstance(tensor.matches, int) else 0
    yield f"  {tensor.name}: {_share(matches, tensor.elements)}"
    for one in tensor.differing:
        yield f"    element {one.index:,}: rebuilt {one.rebuilt}, found {one.found}"
