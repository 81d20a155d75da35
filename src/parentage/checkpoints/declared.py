"""What a checkpoint says of its own origin, in card, config, recipe and metadata. Claims only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import ParentageError

__all__ = ["MAX_YAML", "declared_sources", "plain_yaml"]

LIMIT = 64
MAX_YAML = 200_000
MAX_LABEL = 2**22
NAME = re.compile(r"[\w.\-]+(?:/[\w.\-]+)*")
# Cards carry megabytes of benchmark results, and YAML is read at some 50 kB a second: only the
# block that names bases is parsed.
BASES = re.compile(r"^base_model[ \t]*:[^\n]*(?:\n(?:[ \t]|-[ \t])[^\n]*)*", re.MULTILINE)


def declared_sources(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Names of models that the files name as sources, in the order found, without repeats."""
    found = [name for name in _all(checkpoint) if isinstance(name, str) and NAME.fullmatch(name)]
    return tuple(dict.fromkeys(found))[:LIMIT]


def _all(checkpoint: Checkpoint) -> Iterator[object]:
    yield from _from_card(checkpoint)
    config = checkpoint.config or {}
    yield config.get("_name_or_path")
    yield config.get("base_model_name_or_path")
    yield from _from_recipe(checkpoint)
    for key in ("base_model", "sd_merge_models"):
        yield checkpoint.metadata.get(key)
    yield from _from_label(checkpoint.metadata.get("parentage.parents", ""))


def _from_label(text: str) -> Iterator[object]:
    """The parents in a weight file's own label: names as its recipe had them, or the ends of paths."""
    try:
        parents = json.loads(text) if len(text) <= MAX_LABEL else None
    except (ValueError, RecursionError):
        return
    for parent in _tables(parents):
        yield parent.get("id")
        name = parent.get("name")
        if isinstance(name, str):
            yield name if NAME.fullmatch(name) else name.rstrip("/").rpartition("/")[2]


def _from_card(checkpoint: Checkpoint) -> Iterator[object]:
    text = _text(checkpoint, "README.md")
    if not text.startswith("---"):
        return
    block = BASES.search(text[3:].replace("\r\n", "\n").split("\n---", 1)[0])
    table = plain_yaml(block.group()) if block else None
    bases = table.get("base_model") if isinstance(table, dict) else None
    yield from bases if isinstance(bases, list) else [bases]


def _from_recipe(checkpoint: Checkpoint) -> Iterator[object]:
    table = plain_yaml(_text(checkpoint, "mergekit_config.yml"))
    if not isinstance(table, dict):
        return
    yield table.get("base_model")
    for entry in _tables(table.get("models")):
        yield entry.get("model")
    for part in _tables(table.get("slices")):
        for source in _tables(part.get("sources")):
            yield source.get("model")


def _tables(value: object) -> Iterator[dict[object, object]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _text(checkpoint: Checkpoint, name: str) -> str:
    try:
        return checkpoint.read_text(name) if name in checkpoint.files else ""
    except (ParentageError, OSError):
        return ""


class _Loader(yaml.SafeLoader):
    """Plain values only; no merge keys, whose expansion grows without bound."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("merge key")


def plain_yaml(text: str) -> object:
    """Plain values of a YAML text; None where it is longer than ``MAX_YAML`` or malformed."""
    if len(text) > MAX_YAML:
        return None
    # An alias shares the value that it names, so aliases alone do not grow. The loader answers some
    # tagged scalars (!!bool x, !!int "") with errors of its own code.
    try:
        return yaml.load(text, Loader=_Loader)
    except (
        yaml.YAMLError,
        RecursionError,
        ValueError,
        AttributeError,
        LookupError,
        TypeError,
        OverflowError,
    ):
        return None
