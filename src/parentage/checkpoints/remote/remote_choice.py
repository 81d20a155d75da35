"""Which files of a remote folder are its weights; names that come from there are not trusted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parentage.checkpoints.formats.gguf_places import gguf_files
from parentage.checkpoints.formats.safetensors_header import DuplicateNameError, shown, unique_names
from parentage.checkpoints.formats.weight_names import GGUF, format_among, is_weight_name
from parentage.checkpoints.places import MAX_JSON
from parentage.checkpoints.remote.remote_errors import (
    absent_listing,
    bad_index,
    escapes,
    no_weights,
    other_format,
    shard_absent,
)

__all__ = [
    "INDEX",
    "MAX_JSON",
    "SINGLE",
    "Choice",
    "choose",
    "is_weight_file",
    "safe_name",
    "weight_map_of",
]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MAX_NAME = 1024
# The largest models have some 200.
MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Weight files in order, the index's map when there is one, and what is unusual."""

    files: tuple[str, ...]
    weight_map: dict[str, str] | None = None
    oddities: tuple[str, ...] = ()


def safe_name(name: str) -> bool:
    """A relative path with ``/`` between parts that stays in its folder and has no control characters."""
    parts = name.split("/")
    odd = "\\" in name or any(ord(c) < 32 or ord(c) == 127 for c in name)
    return bool(name) and len(name) <= MAX_NAME and not odd and not {"", ".", ".."} & set(parts)


def is_weight_file(name: str) -> bool:
    """By its ending, in a format of weights."""
    return is_weight_name(name)


def choose(names: Sequence[str], read_index: Callable[[str], bytes], where: str) -> Choice:
    """The weights among the files of a folder, as for a local one.

    Raises ``CheckpointError`` (``no-weights``, ``format-not-read``) and ``IndexFileError``.
    """
    top = sorted(n for n in names if "/" not in n)
    kind = format_among(top)
    if kind is None:
        others = [n for n in top if is_weight_file(n)]
        raise other_format(others, where) if others else no_weights(where)
    weights, indexes = kind.weights(top), kind.indexes(top)
    if indexes:
        mapping = weight_map_of(read_index(indexes[0]), f"{where}/{indexes[0]}")
        return _indexed(indexes, mapping, weights, names, where)
    if len(weights) > MAX_FILES:
        raise absent_listing(f"more than {MAX_FILES:,} weight files", where)
    if kind.name == GGUF:
        return Choice(gguf_files(weights, where))
    files = kind.single(weights)
    left = tuple(f"{n}: not read beside {files[0]}" for n in weights if n not in files)
    return Choice(files, None, left)


def _indexed(
    indexes: Sequence[str],
    mapping: dict[str, str],
    weights: Sequence[str],
    names: Sequence[str],
    where: str,
) -> Choice:
    index = indexes[0]
    named, there = set(mapping.values()), set(names)
    shards = sorted(named)
    for shard in shards:
        if shard not in there:
            raise shard_absent(shard, f"{where}/{index}")
    extra = [n for n in weights if n not in named]
    oddities = [f"{n}: a weight file that the index does not name" for n in extra]
    oddities += [f"{n}: not read beside {index}" for n in indexes[1:]]
    return Choice(tuple(shards), mapping, tuple(oddities))


def weight_map_of(raw: bytes, where: str) -> dict[str, str]:
    """Tensor name to file name, of an index; raises ``IndexFileError``."""
    try:
        table = json.loads(raw, object_pairs_hook=unique_names)
    except DuplicateNameError as error:
        message = f"{shown(error.args[0])} appears twice"
        raise bad_index("json-duplicate-name", message, where) from None
    except (ValueError, RecursionError):
        raise bad_index("json-malformed", "it is not JSON", where) from None
    mapping = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise bad_index("index-malformed", "it has no weight_map", where)
    for shard in mapping.values():
        if not isinstance(shard, str):
            raise bad_index("index-malformed", "weight_map is not name to file", where)
        if not safe_name(shard):
            raise escapes(shard, where)
    if len(set(mapping.values())) > MAX_FILES:
        raise bad_index("index-malformed", f"it names more than {MAX_FILES:,} files", where)
    return mapping
