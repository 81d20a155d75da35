"""Labelled merges in folders of their own, and what may happen to them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parentage import api
from parentage.records.merge import MergeRecord
from tests.merging.models import llama, recipe_file, write_model

__all__ = ["changed_json", "copy_of", "flip", "make"]


def make(folder: Path) -> tuple[Path, MergeRecord]:
    """A merge in two files of two models, one of which carries an id and a licence."""
    a = write_model(folder / "a", llama(1), config={"_name_or_path": "org/first"})
    (a / "README.md").write_text("---\nlicense: mit\n---\n# First\n")
    (a / "tokenizer.json").write_text("{}")
    b = write_model(folder / "b", llama(2))
    entries = [
        {"model": str(a), "parameters": {"weight": 0.6}},
        {"model": str(b), "parameters": {"weight": 0.4}},
    ]
    path = recipe_file(folder, {"merge_method": "linear", "models": entries})
    return folder / "out", api.merge(path, folder / "out", api.MergeOptions(shard_bytes=1500))


def copy_of(folder: Path, place: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(folder, place / "merge"))


def flip(path: Path, position: int = -1) -> None:
    """One bit of one byte."""
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)


def changed_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file in place."""
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
