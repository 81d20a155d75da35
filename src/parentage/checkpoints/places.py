"""Which files of a local path belong to a checkpoint, and which are refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.errors import CheckpointError, IndexFileError, InputMissingError

__all__ = ["Place", "find_place", "load_json_file", "safe_file"]

MAX_JSON = 64 * 2**20
OTHER_FORMATS = (".bin", ".pt", ".pth", ".gguf", ".onnx", ".ckpt", ".h5", ".msgpack")
READ_LATER = "convert it to safetensors with a tool that you trust; it is never unpickled here"


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint's folder, its weight files in order, and the index's map when it has one."""

    folder: Path
    files: tuple[str, ...]
    weight_map: dict[str, str] | None
    oddities: tuple[str, ...]


def find_place(path: Path) -> Place:
    """Find the weight files of a file or folder; raises with one code for each kind of trouble."""
    try:
        if path.is_file():
            return Place(path.parent, (path.name,), None, ())
        if not path.is_dir():
            raise InputMissingError(
                "there is no such file or folder", where=str(path), hint="check the path"
            )
        names = sorted(p.name for p in path.iterdir())
    except PermissionError:
        raise InputMissingError(
            "no permission to read it", code="input-permission", where=str(path)
        ) from None
    return _folder(path, names)


def _folder(folder: Path, names: list[str]) -> Place:
    indexes = [n for n in names if n.endswith(".safetensors.index.json")]
    weights = [n for n in names if n.endswith(".safetensors")]
    preferred = [n for n in indexes if n == "model.safetensors.index.json"] or indexes
    if preferred:
        return _indexed(folder, preferred[0], weights)
    if weights:
        single = ("model.safetensors",) if "model.safetensors" in weights else tuple(weights)
        rest = [f"{n}: not read beside {single[0]}" for n in weights if n not in single]
        return Place(folder, single, None, tuple(rest))
    others = [n for n in names if n.endswith(OTHER_FORMATS)]
    if others:
        message = f"no safetensors files; found {', '.join(others[:3])}"
        raise CheckpointError(
            message, code="format-not-read", where=str(folder), hint=READ_LATER
        )
    raise CheckpointError(
        "the folder holds no weights", code="no-weights", where=str(folder), hint="name a model folder"
    )


def _indexed(folder: Path, index: str, weights: list[str]) -> Place:
    where = str(folder / index)
    table = load_json_file(safe_file(folder, index))
    mapping = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise IndexFileError("it has no weight_map", code="index-malformed", where=where)
    if not all(isinstance(v, str) for v in mapping.values()):
        raise IndexFileError("weight_map is not name to file", code="index-malformed", where=where)
    shards = sorted(set(mapping.values()))
    for shard in shards:
        _check_name(shard, where)
        if not (folder / shard).exists():
            raise IndexFileError(
                f"shard {shard} is not there", code="index-absent-shard", where=where,
                hint="finish the download",
            )
    extra = [f"{n}: a weight file that the index does not name" for n in weights if n not in shards]
    return Place(folder, tuple(shards), dict(mapping), tuple(extra))


def _check_name(shard: str, where: str) -> None:
    parts = Path(shard).parts
    bad = not shard or "\0" in shard or "\\" in shard or Path(shard).is_absolute() or ".." in parts
    if bad:
        raise IndexFileError(
            f"shard {shard!r} leaves the folder", code="index-escapes", where=where,
            hint="do not trust this checkpoint",
        )


def safe_file(folder: Path, name: str) -> Path:
    """The file, refused when a link leads out of the checkpoint.

    The hub's own cache is fine: ``models--x/snapshots/rev/file`` may link to ``models--x/blobs/…``.
    """
    path = folder / name
    try:
        real, home = path.resolve(strict=True), folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InputMissingError(
            f"cannot be resolved: {type(error).__name__}", code="input-unreadable", where=str(path)
        ) from None
    allowed = [home]
    if home.parent.name == "snapshots" and home.parent.parent.name.startswith("models--"):
        allowed.append(home.parent.parent / "blobs")
    if not any(real.is_relative_to(a) for a in allowed):
        raise InputMissingError(
            "a link that leaves the checkpoint", code="link-escapes", where=str(path),
            hint="name the linked file itself if you trust it",
        )
    return path


def load_json_file(path: Path) -> Any:
    """Parse a JSON file of bounded size; ``IndexFileError`` (``json-malformed``, ``json-too-large``)."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise IndexFileError("unreasonably large", code="json-too-large", where=str(path))
        return json.loads(path.read_bytes())
    except PermissionError:
        raise InputMissingError(
            "no permission to read it", code="input-permission", where=str(path)
        ) from None
    except (ValueError, RecursionError):
        raise IndexFileError("it is not JSON", code="json-malformed", where=str(path)) from None
