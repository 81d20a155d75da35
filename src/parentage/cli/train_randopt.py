"""``parentage train randopt``: random members of a model, the best kept, and their vote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from parentage.errors import UsageError

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = (
    "RandOpt (neural thickets): add random noise to MODEL, a folder with safetensors, many times; score "
    "each member on problems of a task; write the best as models and let them vote. Members, scores with "
    "intervals on problems that chose nothing, and the noise's seeds are kept in OUT. A run that was "
    "stopped goes on with the same command."
)
EXAMPLES = """\
\b
Examples:
  parentage train randopt ./model --task arithmetic --seeds 16 --sigma 0.001 --keep 4 --out ./thicket
  Noise as torch draws it, three sizes in turn, a task of one's own:
    parentage train randopt ./model --task own.jsonl:number --sigmas 0.0005,0.001 --noise torch --out ./t
"""


def command(
    model: Annotated[str, typer.Argument(help="The folder of a model.")],
    task: Annotated[
        str, typer.Option("--task", help="A built-in task, or FILE.jsonl[:exact|number|contains].")
    ],
    out: Annotated[Path, typer.Option("--out", help="A folder that is not there yet, or is empty.")],
    seeds: Annotated[int, typer.Option("--seeds", help="Members that are tried.")] = 16,
    sigma: Annotated[
        float | None, typer.Option("--sigma", help="Size of the noise, of every weight: .001.")
    ] = None,
    sigmas: Annotated[
        str | None, typer.Option("--sigmas", help="Several sizes, with commas between; taken in turn.")
    ] = None,
    items: Annotated[int, typer.Option("--items", help="Problems by which members are chosen.")] = 24,
    held_out: Annotated[
        int, typer.Option("--held-out", help="Other problems, which tell how the chosen do.")
    ] = 96,
    keep: Annotated[int, typer.Option("--keep", help="Members that are written and vote.")] = 4,
    noise: Annotated[
        str, typer.Option("--noise", help="counter (ours) or torch (its generator).")
    ] = "counter",
    seed: Annotated[int, typer.Option("--seed", help="Of members and problems.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    json_file: Annotated[
        str | None,
        typer.Option("--json", help="Write the run as JSON to a file, or - for standard output."),
    ] = None,
) -> None:
    """Try, keep, vote."""
    from parentage.cli.output import encodable
    from parentage.cli.progress import progress
    from parentage.cli.streams import emit_json
    from parentage.cli.targets import check_targets
    from parentage.records.codec import to_plain
    from parentage.records.json_files import dumps, write_text
    from parentage.records.randopt import SCHEMA, VERSION
    from parentage.reports.randopt_text import render_text
    from parentage.training.randopt import RandOptSettings, randopt

    check_targets([Path(json_file)] if json_file not in (None, "-") and json_file else [], [model])
    settings = RandOptSettings(
        model, task, out, seeds, _sigmas(sigma, sigmas), items, keep, held_out, noise, seed, device
    )
    with progress() as shown:
        found = randopt(settings, progress=shown)
    text = dumps({"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    if json_file == "-":
        emit_json(text)
        return
    if json_file is not None:
        write_text(Path(json_file), text)
    sys.stdout.write(encodable(render_text(found, str(out)), sys.stdout.encoding or "utf-8"))


def _sigmas(one: float | None, several: str | None) -> tuple[float, ...]:
    if one is not None and several is not None:
        raise UsageError(
            "--sigma and --sigmas say the same", code="randopt-settings", hint="keep one of them"
        )
    if several is None:
        return (0.001 if one is None else one,)
    try:
        return tuple(float(s) for s in several.split(","))
    except ValueError:
        raise UsageError(
            f"--sigmas are numbers with commas between, not {several[:60]!r}",
            code="randopt-settings",
            hint="--sigmas 0.0005,0.001,0.002",
        ) from None
