"""``parentage merge``: make a merge that says what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.cli.label import Sign, signer_of
from parentage.errors import UsageError

if TYPE_CHECKING:
    from parentage.records.absence import Absent
    from parentage.records.merge import MergeRecord

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "Make the merge that RECIPE describes, in the new folder OUT. Recipes are mergekit's own YAML. Every "
    "tensor is merged, copied or listed as dropped, with the reason; every weight file, the model card and "
    "parentage.json say what the merge is made of. OUT appears whole or not at all; a run that was stopped "
    "goes on with the same command."
)
EXAMPLES = """\
\b
Examples:
  What would be done, which tensors go where, how many bytes:
    parentage merge recipe.yaml ./merge --dry-run
  Make it:
    parentage merge recipe.yaml ./merge
  And sign it:
    parentage merge recipe.yaml ./merge --sign key.pem
  The same bits as mergekit 0.1.5 would write:
    parentage merge recipe.yaml ./merge --profile mergekit-0.1.5
"""
BILLION = 10**9
MOST_LISTED = 40


def command(
    recipe: Annotated[Path, typer.Argument(readable=False, help="A recipe in YAML.")],
    out: Annotated[Path, typer.Argument(help="A folder that is not there yet, or is empty.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; read headers only, write nothing.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Whose arithmetic: parentage-1 (the default), mergekit-0.1.5, mergekit-0.1.4, …",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of methods with chance; 0.")] = None,
    shard_size: Annotated[
        float, typer.Option("--shard-size", min=0.001, help="Most billions of bytes a weight file.")
    ] = 5.0,
    no_digests: Annotated[
        bool, typer.Option("--no-digests", help="Do not hash the parents (the labels say so).")
    ] = False,
    sign: Sign = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Threads; 0: one a core. No result depends on it.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the plan or the record as JSON to standard output.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Tensors listed by --dry-run; 0: all.")
    ] = MOST_LISTED,
) -> None:
    """Plan, merge, and say what was done."""
    # Not through the interface for Python, which loads all that an audit needs: 1.5 s of the start.
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing
    from parentage.merging.merge import MergeOptions, plan_merge, write_merge
    from parentage.merging.recipe_reading import read_recipe
    from parentage.records import merge as records

    if shard_size * BILLION >= 2**62:
        raise UsageError(f"--shard-size {shard_size:g} is no size of a file", hint="5")
    signer = signer_of(sign)
    options = MergeOptions(profile, seed, int(shard_size * BILLION), not no_digests, workers, signer)
    if dry_run:
        found = plan_merge(read_recipe(recipe), options)
    else:
        with progress() as report_progress:
            found = write_merge(read_recipe(recipe), out, options, report_progress)
    with printing():
        if as_json:
            from parentage.cli.tables import print_json

            print_json(records.SCHEMA, records.VERSION, found)
            return
        for line in _plan_lines(found, limit) if dry_run else _done_lines(found, out):
            plain_text(line)


def _plan_lines(found: MergeRecord, limit: int) -> Iterator[str]:
    from parentage.reports.wording import bytes_text

    tensors = len(found.placed)
    yield f"{found.method} in the arithmetic {found.profile}, of {len(found.parents)} models"
    for parent in found.parents:
        size = bytes_text(sum(f.size for f in parent.files))
        yield f"  {parent.name}: {len(parent.files)} weight files, {size}{' (base)' if parent.base else ''}"
    yield (
        f"{tensors:,} tensors: {found.merged:,} merged, {len(found.copied):,} copied; "
        f"{len(found.dropped):,} of the parents' dropped"
    )
    yield (
        f"reads {_bytes(found.bytes_read)} of weights once or more, writes "
        f"{bytes_text(found.bytes_written)}; {_estimate(found)}"
    )
    yield from (f"note: {note}" for note in found.notes)
    shown = found.placed[:limit] if limit else found.placed
    for one in shown:
        values = ", ".join(f"{k} {_value(v)}" for k, v in one.parameters.items())
        detail = f" ({values})" if values else ""
        yield f"  {one.file}: {one.name} {one.dtype} {list(one.shape)}: {one.how}{detail}"
    if len(shown) < tensors:
        yield f"  and {tensors - len(shown):,} more (--limit 0 lists all)"
    yield from _left_out(found, limit)


def _bytes(count: int | Absent) -> str:
    from parentage.reports.wording import bytes_text

    return bytes_text(count) if isinstance(count, int) else "some"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_value(v)}" for k, v in value.items()) + "}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _estimate(found: MergeRecord) -> str:
    from parentage.reports.wording import bytes_text

    # Measured on two cores from warm files, digests included: docs/log.md. A linear merge; methods that
    # look first take longer, and a network sets its own pace.
    seconds = found.bytes_written / 0.4e9 + 1
    memory = bytes_text(500 * 10**6)
    return f"some {seconds:,.0f} s from a local disk for a linear merge, at most {memory} of memory"


def _left_out(found: MergeRecord, limit: int) -> Iterator[str]:
    shown = found.dropped[:limit] if limit else found.dropped
    for one in shown:
        yield f"  dropped: {one.tensor} of {one.parent}: {one.reason}"
    if len(shown) < len(found.dropped):
        yield f"  and {len(found.dropped) - len(shown):,} more"


def _done_lines(found: MergeRecord, out: Path) -> Iterator[str]:
    from parentage.cards.model_card import licence_notes
    from parentage.records.absence import Absent
    from parentage.reports.wording import bytes_text

    yield (
        f"{out}: {found.merged:,} tensors merged by {found.method} ({found.profile}), "
        f"{len(found.copied):,} copied, {len(found.dropped):,} dropped; {bytes_text(found.bytes_written)}"
    )
    yield from (f"note: {note}" for note in found.notes)
    known = [p for p in found.parents if isinstance(p.licence, str)]
    yield from (f"licences: {note}" for note in licence_notes(known))
    for file in found.files:
        digest = "not hashed" if isinstance(file.sha256, Absent) else f"SHA-256 {file.sha256}"
        yield f"  {file.name} {digest}"
    yield f"What it is made of is said in every weight file, in README.md and in {out / 'parentage.json'}."
