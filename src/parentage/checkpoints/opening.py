"""Open a checkpoint wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.local_files import LocalFolder

__all__ = ["open_checkpoint"]


def open_checkpoint(locator: str | os.PathLike[str]) -> Checkpoint:
    """Open a model: a weight file, or a folder that holds one or several. Only headers are read."""
    return Checkpoint(LocalFolder(Path(locator)))
