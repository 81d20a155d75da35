"""``parentage verify``: re-derive a saved evidence from its pinned inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parentage.cli.network import Budget, Cache, Requests, limits_of
from parentage.errors import ParentageError, UsageError

if TYPE_CHECKING:
    from parentage.records.verification import InputDifference, ValueDifference, Verification

__all__ = ["EXAMPLES", "HELP", "VerifyDiffers", "command"]

HELP = (
    "Re-derive every number of EVIDENCE from the pinned inputs, ignoring what it stores, and name "
    "what differs: first the files whose bytes are not those that were pinned, then every value that "
    "does not follow. Of an archive of a dossier (a ZIP file) every step is derived again as far as it "
    "can be: evidence from inputs that are reachable, reports from evidence, readings from answers, claims "
    "from the card. Exit 5 when anything differs."
)
EXAMPLES = """\
\b
Examples:
  The inputs lie where they lay:
    parentage verify evidence.json
  They lie elsewhere; NAME is the model's name in the report:
    parentage verify evidence.json --model merge=/models/merge --model base=/models/base
  An archive of a dossier, and its signature; the models are not read:
    parentage verify dossier.zip --key signer.pub.pem --without-inputs
  For another program:
    parentage verify evidence.json --json
"""

WIDTH = 16


class VerifyDiffers(ParentageError):
    """The evidence does not follow from its inputs."""

    exit_code = 5
    default_code = "verify-differs"


def command(
    evidence: Annotated[
        Path, typer.Argument(readable=False, help="An evidence file, or an archive of a dossier.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="NAME=PATH: where an input lies here; repeatable."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Threads; 0: one a core. No result depends on it.")
    ] = 0,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="Where a full replay runs: threads, or ray (a cluster). No result depends on it.",
        ),
    ] = "threads",
    address: Annotated[
        str | None,
        typer.Option("--address", help="The Ray cluster, such as auto; without it one is started here."),
    ] = None,
    device: Annotated[
        str,
        typer.Option("--device", help="What counts in a full replay: cpu, or cuda (a GPU, through torch)."),
    ] = "cpu",
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            help="Keep what of a full replay is done in this file (or in a folder), and go on from it.",
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Of an archive: check its signature by this public key.")
    ] = None,
    without_inputs: Annotated[
        bool, typer.Option("--without-inputs", help="Of an archive: do not open the models.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Differing values listed; 0: all.")] = 20,
    budget: Budget = None,
    budget_requests: Requests = None,
    cache: Cache = None,
) -> None:
    """Verify and say so."""
    from parentage import api
    from parentage.cli.archive_output import tell_archive
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing
    from parentage.cli.tables import print_json
    from parentage.records import verification as records

    if api.is_archive(evidence):
        with progress() as report_progress:
            checked = api.check_archive(
                evidence,
                key=key,
                places=_places(model or []),
                inputs=not without_inputs,
                workers=workers,
                limits=limits_of(budget, budget_requests, cache),
                progress=report_progress,
            )
        tell_archive(checked, evidence, as_json=as_json, limit=limit)
        return
    if key is not None or without_inputs:
        raise UsageError(
            "--key and --without-inputs are for archives", code="usage-verify", where=str(evidence)
        )
    with progress() as report_progress:
        found = api.verify(
            evidence,
            places=_places(model or []),
            workers=workers,
            limits=limits_of(budget, budget_requests, cache),
            engine=engine,
            address=address,
            resume=resume,
            device=device,
            compile_first=True,
            progress=report_progress,
        )
    with printing():
        if as_json:
            print_json(records.SCHEMA, records.VERSION, found)
        else:
            for line in _lines(found, str(evidence), limit):
                plain_text(line)
    if not found.holds:
        raise VerifyDiffers(
            f"{len(found.inputs):,} of {found.files:,} weight files and {len(found.values):,} of "
            f"{found.compared:,} values differ",
            where=str(evidence),
            hint="fetch the inputs that the evidence pins, by their digests; else do not rely on it",
        )


def _places(models: Sequence[str]) -> dict[str, str]:
    places: dict[str, str] = {}
    for entry in models:
        name, _, path = entry.partition("=")
        if not name or not path:
            raise UsageError(
                f"--model {entry}: expected NAME=PATH",
                code="usage-model",
                hint="NAME is the model's name in the report",
            )
        if name in places:
            raise UsageError(
                f"--model {name}: given twice", code="usage-model", hint="say once where it lies"
            )
        places[name] = path
    return places


def _lines(found: Verification, evidence: str, limit: int) -> Iterator[str]:
    from parentage.records.absence import Absent

    if found.holds:
        yield (
            f"verified: {evidence} follows from its inputs; {found.compared:,} values and "
            f"{found.files:,} weight files agree"
        )
    else:
        yield f"not verified: {evidence} does not follow from the inputs that were found"
    yield from _input_lines(found.inputs)
    if not isinstance(found.unmeasured, Absent):
        yield f"The inputs that were found could not be measured: {found.unmeasured}"
    yield from _value_lines(found.values, limit)
    was, now = (_version(tool) for tool in (found.measured_by, found.derived_by))
    other = "" if was == now else ", another version: numbers may differ for that reason alone"
    yield f"Measured by {was}, re-derived by {now}{other}."
    yield "Keep in mind:"
    yield from (f"  - {text}" for text in found.limits)


def _input_lines(inputs: Sequence[InputDifference]) -> Iterator[str]:
    if not inputs:
        return
    yield "Files that are not the pinned ones (numbers that differ may follow from this alone):"
    for one in inputs:
        yield f"  {one.model}: {one.file}"
        yield f"    {one.reason}"
        if one.tensors:
            more = "" if len(one.tensors) <= WIDTH else f" and {len(one.tensors) - WIDTH:,} more"
            yield f"    tensors whose bytes differ: {', '.join(one.tensors[:WIDTH])}{more}"


def _value_lines(values: Sequence[ValueDifference], limit: int) -> Iterator[str]:
    if not values:
        return
    shown = values[:limit] if limit else values
    yield f"Values that differ ({len(values):,}):"
    for one in shown:
        yield f"  {one.path}"
        yield f"    stored {_value(one.stored)}, re-derived {_value(one.derived)}"
    if len(values) > len(shown):
        yield f"  and {len(values) - len(shown):,} more (--limit 0 lists all)"


def _value(value: object) -> str:
    from parentage.records.absence import Absent

    if isinstance(value, Absent):
        return f"nothing ({value.reason})"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _version(tool: object) -> str:
    from collections.abc import Mapping

    table = tool if isinstance(tool, Mapping) else {}
    return f"{table.get('name', 'an unnamed tool')} {table.get('version', 'of no version')}"
