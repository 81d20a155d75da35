"""Names of other models in the files beside a card: config, recipe, tokenizer, metadata of weights.

They count in the card's favour where it discloses less than its files do, and are told where it is silent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.merge_claims import merge_claims
from parentage.errors import ParentageError
from parentage.records.absence import Absent

__all__ = ["names_beside"]

MOST_NAMES: Final = 64
MOST_TEXT: Final = 2**20
TOKENIZER: Final = "tokenizer_config.json"
# sd-mecha writes its recipe as lines: ``model "PATH" …``.
_MECHA: Final = re.compile(r'^\s*model\s+"([^"\n]{1,300})"', re.M)
_SUFFIX: Final = re.compile(r"\.(safetensors|ckpt|gguf|bin|pth?)$", re.I)
# A repository, or the folder in which the hub's client keeps one; any other path is of somebody's disk.
_REPOSITORY: Final = re.compile(r"(?![.-])[\w.-]{1,96}/[\w.-]{1,96}")
# First parts of paths that are no owner's name.
_FOLDERS: Final = frozenset(
    {"build", "checkpoint", "checkpoints", "ckpt", "ckpts", "content", "data", "home", "mnt", "model"}
    | {"models", "out", "output", "outputs", "results", "run", "runs", "save", "saved", "tmp", "weights"}
    | {"work", "workspace"}
)
_CACHED: Final = re.compile(r"(?:^|[/\\])models--([\w.-]+?)--([\w.-]+?)(?:[/\\]|$)")


def names_beside(model: Checkpoint) -> tuple[str, ...]:
    """In the order found, each once, at most ``MOST_NAMES``."""
    return tuple(dict.fromkeys((*declared_sources(model), *_others(model))))[:MOST_NAMES]


def _others(model: Checkpoint) -> Iterator[str]:
    for claim in merge_claims(model):
        yield from (_file(m.name) for m in claim.models if not isinstance(m.name, Absent))
    recipe = model.metadata.get("mecha_recipe", "")
    yield from map(_file, _MECHA.findall(recipe[:MOST_TEXT]))
    yield from _repository((model.config or {}).get("_name_or_path"))
    yield from _repository(_tokenizer(model))


def _file(path: str) -> str:
    """The name that a file goes by, on whichever system its path was written."""
    return _SUFFIX.sub("", PureWindowsPath(PurePosixPath(path).name).name)


def _tokenizer(model: Checkpoint) -> object:
    """Where the tokenizer says that it was loaded from."""
    if TOKENIZER not in model.files:
        return None
    try:
        found = json.loads(model.read_text(TOKENIZER))
    except (ParentageError, OSError, ValueError, RecursionError):
        return None
    return found.get("name_or_path") if isinstance(found, dict) else None


def _repository(place: object) -> Iterator[str]:
    if not isinstance(place, str) or len(place) > MOST_TEXT:
        return
    cached = _CACHED.search(place)
    if cached is not None:
        yield f"{cached[1]}/{cached[2]}"
    elif _REPOSITORY.fullmatch(place) and place.split("/")[0].casefold() not in _FOLDERS:
        yield place
