"""Which files of a local path belong to a checkpoint, and which are refused."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from parentage.checkpoints.formats.gguf_places import ENDING as GGUF_ENDING
from parentage.checkpoints.formats.gguf_places import gguf_files, parts_of
from parentage.checkpoints.formats.safetensors_header import DuplicateNameError, shown, unique_names
from parentage.checkpoints.formats.weight_names import GGUF, format_among, is_weight_name
from parentage.errors import CheckpointError, IndexFileError, InputMissingError

__all__ = [
    "CONVERT",
    "ModelFiles",
    "Place",
    "find_place",
    "load_json_file",
    "model_files",
    "open_file",
    "safe_file",
]

MAX_JSON = 64 * 2**20
MAX_PATH = 4096
CONVERT = "convert it to safetensors with a tool that you trust; it is never unpickled here"


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint's folder, its weight files in order, and the index's map when it has one.

    ``as_named``: the user named the weight file itself, so a link is followed wherever it leads.
    """

    folder: Path
    files: tuple[str, ...]
    weight_map: dict[str, str] | None
    oddities: tuple[str, ...]
    as_named: bool = False


def find_place(path: Path) -> Place:
    """Find the weight files of a file or folder; raises with one code for each kind of trouble."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path, sorted(p.name for p in path.iterdir()))
    except OSError as error:
        raise _unreadable(error, str(path)) from None
    except ValueError:
        raise InputMissingError(
            "no file has such a name", where=shown(str(path), MAX_PATH), hint="check the path"
        ) from None
    files: tuple[str, ...] = (path.name,)
    if path.name.endswith(GGUF_ENDING):
        files = parts_of(path.name, _names(path.parent), str(path))
    return Place(path.parent, files, None, (), as_named=True)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(p.name for p in folder.iterdir())
    except OSError as error:
        raise _unreadable(error, str(folder)) from None


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The weight files that a path names, to tell whether another path names the same ones.

    Two snapshots in the hub's cache that share a blob are two models with equal weights, not one: links
    inside a folder count as files of their own unless one of them was itself named.
    """

    listed: frozenset[str]
    resolved: frozenset[str]
    as_file: bool

    def same_as(self, other: ModelFiles) -> bool:
        """Whether both are the same files: through links, as a folder or as its file."""
        either_named = self.as_file or other.as_file
        return self.listed == other.listed or (either_named and self.resolved == other.resolved)


def model_files(path: str) -> ModelFiles:
    """What a path names; a path that holds no weights names itself. Opens no weight file."""
    try:
        place = find_place(Path(path))
    except CheckpointError:
        own = frozenset([_real(path)])
        return ModelFiles(own, own, False)
    folder = os.path.realpath(place.folder)
    listed = frozenset(os.path.join(folder, name) for name in place.files)
    return ModelFiles(listed, frozenset(os.path.realpath(f) for f in listed), place.as_named)


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a name that no file can have
        return path


def _unreadable(error: OSError, where: str) -> InputMissingError:
    where = shown(where, MAX_PATH)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputMissingError("there is no such file or folder", where=where, hint="check the path")
    if isinstance(error, PermissionError):
        return InputMissingError(
            "no permission to read it",
            code="input-permission",
            where=where,
            hint="ask its owner, or copy it to where you may read it",
        )
    return InputMissingError(
        f"cannot be opened: {error.strerror or type(error).__name__}",
        code="input-unreadable",
        where=where,
        hint="check the path and the disk",
    )


def open_file(path: Path) -> int:
    """A descriptor of a regular file, opened to read; ``InputMissingError`` for anything else."""
    try:
        # Without O_NONBLOCK a named pipe that nobody writes to would hold us for ever.
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(error, str(path)) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise InputMissingError(
            "not a regular file",
            code="input-not-file",
            where=shown(str(path), MAX_PATH),
            hint="name a file or a folder of files",
        )
    return number


def _folder(folder: Path, names: list[str]) -> Place:
    kind = format_among(names)
    if kind is None:
        raise _no_weights(folder, names)
    weights, indexes = kind.weights(names), kind.indexes(names)
    if indexes:
        place = _indexed(folder, indexes[0], weights)
        rest = tuple(f"{n}: not read beside {indexes[0]}" for n in indexes[1:])
        return replace(place, oddities=(*place.oddities, *rest))
    if kind.name == GGUF:
        return Place(folder, gguf_files(weights, str(folder)), None, ())
    single = kind.single(weights)
    left = tuple(f"{n}: not read beside {single[0]}" for n in weights if n not in single)
    return Place(folder, single, None, left)


def _no_weights(folder: Path, names: list[str]) -> CheckpointError:
    others = [n for n in names if is_weight_name(n)]
    if others:
        message = f"no weights in a format that is read; found {', '.join(shown(n) for n in others[:3])}"
        return CheckpointError(message, code="format-not-read", where=str(folder), hint=CONVERT)
    return CheckpointError(
        "the folder holds no weights",
        code="no-weights",
        where=str(folder),
        hint="name a model folder",
    )


def _indexed(folder: Path, index: str, weights: list[str]) -> Place:
    where = str(folder / index)
    table = load_json_file(safe_file(folder, index), unique=True)
    mapping = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise _bad_index("index-malformed", "it has no weight_map", where)
    if not all(isinstance(v, str) for v in mapping.values()):
        raise _bad_index("index-malformed", "weight_map is not name to file", where)
    shards = sorted(set(mapping.values()))
    for shard in shards:
        _check_name(shard, where)
        if not _is_there(folder / shard):
            raise IndexFileError(
                f"shard {shown(shard)} is not there",
                code="index-absent-shard",
                where=where,
                hint="finish the download",
            )
    extra = [f"{n}: a weight file that the index does not name" for n in weights if n not in shards]
    return Place(folder, tuple(shards), dict(mapping), tuple(extra))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for any file
        return False


def _bad_index(code: str, message: str, where: str) -> IndexFileError:
    return IndexFileError(message, code=code, where=where, hint="fetch the index again")


def _check_name(shard: str, where: str) -> None:
    parts = Path(shard).parts
    bad = not shard or "\0" in shard or "\\" in shard or Path(shard).is_absolute() or ".." in parts
    if bad:
        raise IndexFileError(
            f"shard {shown(shard)} leaves the folder",
            code="index-escapes",
            where=where,
            hint="do not trust this checkpoint",
        )


def safe_file(folder: Path, name: str) -> Path:
    """The file, refused when a link leads out of the checkpoint.

    The hub's own cache is fine: ``models--x/snapshots/rev/file`` may link to ``models--x/blobs/…``,
    from folders below ``rev`` as well.
    """
    path = folder / name
    try:
        real, home = path.resolve(strict=True), folder.resolve(strict=True)
    except RuntimeError:
        raise InputMissingError(
            "a link that leads to itself", code="link-loop", where=str(path), hint="remove the link"
        ) from None
    except OSError as error:
        raise _unreadable(error, str(path)) from None
    allowed = [home, *_blobs(home)]
    if not any(real.is_relative_to(a) for a in allowed):
        raise InputMissingError(
            "a link that leaves the checkpoint",
            code="link-escapes",
            where=str(path),
            hint="name the linked file itself if you trust it",
        )
    return path


def _blobs(home: Path) -> list[Path]:
    """Where the hub's cache keeps the files that a snapshot links to."""
    return [
        folder.parent / "blobs"
        for folder in home.parents
        if folder.name == "snapshots" and folder.parent.name.startswith("models--")
    ][:1]


def load_json_file(path: Path, *, unique: bool = False) -> Any:
    """Parse a JSON file of bounded size.

    Raises ``IndexFileError`` (``json-malformed``, ``json-too-large``; ``json-duplicate-name`` when
    names must be ``unique``), ``InputMissingError`` when it cannot be opened.
    """
    where = str(path)
    with os.fdopen(open_file(path), "rb") as stream:
        try:
            raw = stream.read(MAX_JSON + 1)
        except OSError as error:
            raise _unreadable(error, where) from None
    if len(raw) > MAX_JSON:
        raise _bad_index("json-too-large", f"more than {MAX_JSON:,} bytes", where)
    try:
        return json.loads(raw, object_pairs_hook=unique_names if unique else None)
    except DuplicateNameError as error:
        message = f"{shown(error.args[0])} appears twice"
        raise _bad_index("json-duplicate-name", message, where) from None
    except (ValueError, RecursionError):
        raise _bad_index("json-malformed", "it is not JSON", where) from None
