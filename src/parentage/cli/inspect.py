"""``parentage inspect``: what is in a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = "Tensors by role and layer, dtypes, sizes, digests, oddities of one MODEL."
EXAMPLES = "Example: parentage inspect ./model --json"


def command(
    model: Annotated[str, typer.Argument(help="A safetensors file or a folder of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    digests: Annotated[bool, typer.Option("--digests", help="Hash the weight files.")] = False,
) -> None:
    """Inspect one checkpoint."""
    import json

    from parentage import api
    from parentage.cli.tables import print_inspection
    from parentage.records.codec import to_plain

    inspection = api.inspect(model, digests=digests)
    if as_json:
        typer.echo(json.dumps(to_plain(inspection), indent=1, ensure_ascii=False))
        return
    print_inspection(inspection)
