"""Where a command will write: refused before hours of work, not after them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from parentage.checkpoints.formats.weight_names import is_weight_name
from parentage.errors import UsageError
from parentage.records.json_files import check_writable

__all__ = ["check_targets"]


def check_targets(targets: Iterable[Path], inputs: Sequence[str]) -> None:
    """Refuse outputs that cannot be written, that are one file, or that would replace an input.

    Raises ``UsageError`` (``usage-outputs``) and the errors of ``json_files.check_writable``.
    """
    taken = {os.path.realpath(place) for place in inputs}
    for target in targets:
        real = os.path.realpath(target)
        if str(target) == "-":
            raise UsageError(
                "only --json writes to standard output",
                code="usage-outputs",
                hint="give this output a file name",
            )
        if real in taken or is_weight_name(real):
            raise UsageError(
                "the output would replace an input or another output",
                code="usage-outputs",
                where=str(target),
                hint="choose another name",
            )
        check_writable(target)
        if not os.path.exists(real) or os.path.isfile(real):
            taken.add(real)  # a device may take two outputs
