"""What a checkpoint says of its own origin: names in card, config, recipe and metadata. Claims only."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from parentage.checkpoints.local import Checkpoint
from parentage.errors import ParentageError

__all__ = ["declared_sources"]

LIMIT = 64
NAME = re.compile(r"^[\w.\-]+(?:/[\w.\-]+)*$")


def declared_sources(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Names of models that the files name as sources, in the order found, without repeats."""
    found = [name for name in _all(checkpoint) if isinstance(name, str) and NAME.match(name)]
    return tuple(dict.fromkeys(found))[:LIMIT]


def _all(checkpoint: Checkpoint) -> Iterator[object]:
    yield from _from_card(checkpoint)
    config = checkpoint.config or {}
    yield config.get("_name_or_path")
    yield config.get("base_model_name_or_path")
    yield from _from_recipe(checkpoint)
    for key in ("base_model", "sd_merge_models"):
        yield checkpoint.metadata.get(key)


def _from_card(checkpoint: Checkpoint) -> Iterator[object]:
    text = _text(checkpoint, "README.md")
    if not text.startswith("---"):
        return
    table = _yaml(text[3:].split("\n---", 1)[0])
    bases = table.get("base_model") if isinstance(table, dict) else None
    yield from bases if isinstance(bases, list) else [bases]


def _from_recipe(checkpoint: Checkpoint) -> Iterator[object]:
    table = _yaml(_text(checkpoint, "mergekit_config.yml"))
    if not isinstance(table, dict):
        return
    yield table.get("base_model")
    for entry in table.get("models") or []:
        yield entry.get("model") if isinstance(entry, dict) else None
    for part in table.get("slices") or []:
        for source in (part.get("sources") or []) if isinstance(part, dict) else []:
            yield source.get("model") if isinstance(source, dict) else None


def _text(checkpoint: Checkpoint, name: str) -> str:
    try:
        return checkpoint.read_text(name) if name in checkpoint.files else ""
    except (ParentageError, OSError):
        return ""


def _yaml(text: str) -> object:
    # An alias bomb expands on use only; the safe loader constructs plain values and shares them.
    try:
        return yaml.safe_load(text) if len(text) < 1_000_000 else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
