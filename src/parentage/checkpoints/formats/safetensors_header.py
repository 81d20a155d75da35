"""The safetensors header, checked as strictly as the format's own reader does, and one step more.

Format: 8 bytes little-endian header length, a JSON object, then the data buffer. One error code for
each way in which a header can lie.
"""

from __future__ import annotations

import json
from typing import Any

from parentage.errors import HeaderError
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = [
    "MAX_HEADER",
    "DuplicateNameError",
    "parse_header",
    "parse_length",
    "shown",
    "unique_names",
]

# The limit of the format's own reader.
MAX_HEADER = 100_000_000
MAX_DIMENSIONS = 64
MAX_ELEMENTS = 2**62
SHOWN = 120
_DTYPES = tuple(d.value for d in DType)


def parse_length(first: bytes, file_size: int, where: str) -> int:
    """Header length from the first eight bytes, bounded by the format and by the file."""
    if len(first) < 8:
        raise _lie("header-truncated", "the file is shorter than eight bytes", where)
    length = int.from_bytes(first[:8], "little")
    if length > MAX_HEADER:
        raise _lie("header-too-large", f"the header claims {length:,} bytes", where)
    if length + 8 > file_size:
        message = f"the header claims {length:,} bytes in a file of {file_size:,}"
        raise _lie("header-truncated", message, where)
    return length


def parse_header(raw: bytes, *, file_size: int, where: str) -> tuple[tuple[TensorRef, ...], dict[str, str]]:
    """Tensors in the order of their data, and the metadata; ``raw`` is the JSON without its length.

    Raises ``HeaderError``; its code names the lie.
    """
    table = _load(raw, where)
    metadata = _metadata(table.pop("__metadata__", {}), where)
    start = 8 + len(raw)
    tensors = [_tensor(name, entry, start, where) for name, entry in table.items()]
    tensors.sort(key=lambda t: (t.begin, t.end, t.name))
    _check_layout(tensors, start, file_size, where)
    return tuple(tensors), metadata


def shown(text: str, limit: int = SHOWN) -> str:
    """A name as a message may show it: short, and without what would steer a terminal."""
    short = text if len(text) <= limit else f"{text[:limit]}…"
    return short if short.isprintable() else ascii(short)


def _lie(code: str, message: str, where: str) -> HeaderError:
    hint = "fetch the file again; if it stays so, it is not a valid safetensors file"
    return HeaderError(message, code=code, where=where, hint=hint)


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The table of one JSON object; raises ``DuplicateNameError`` when a name is there twice."""
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise DuplicateNameError(name)
            seen.add(name)
    return table


class DuplicateNameError(Exception):
    """A JSON object names one thing twice; its argument is the name."""


def _whole(text: str) -> int:
    # The format's own reader takes -0 for a fraction; more than 20 digits overflow it.
    return int(text) if len(text) <= 20 and text != "-0" else -1


def _load(raw: bytes, where: str) -> dict[str, Any]:
    if not raw.startswith(b"{"):
        raise _lie("header-not-json", "the header does not begin with {", where)
    try:
        table: dict[str, Any] = json.loads(
            raw.decode("utf-8"), object_pairs_hook=unique_names, parse_int=_whole
        )
        # Escapes can spell half a surrogate pair, which is no text.
        "".join(table).encode("utf-8")
    except DuplicateNameError as error:
        message = f"{shown(error.args[0])} appears twice"
        raise _lie("header-duplicate-name", message, where) from None
    except (ValueError, RecursionError) as error:
        message = f"the header is not JSON: {type(error).__name__}"
        raise _lie("header-not-json", message, where) from None
    return table


def _metadata(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _lie("header-metadata", "__metadata__ is not a table of strings", where)
    try:
        for text in (*value.keys(), *value.values()):
            text.encode("utf-8")
    except UnicodeEncodeError:
        message = "__metadata__ holds half a surrogate pair"
        raise _lie("header-not-json", message, where) from None
    return value


def _tensor(name: str, entry: Any, start: int, where: str) -> TensorRef:
    at = f"{where}: {shown(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _lie("header-entry", "an entry needs dtype, shape and data_offsets, no more", at)
    if entry["dtype"] not in _DTYPES:
        given = shown(entry["dtype"]) if isinstance(entry["dtype"], str) else "that is no string"
        raise _lie("header-unknown-dtype", f"unknown dtype {given}", at)
    dtype = DType(entry["dtype"])
    shape = _whole_numbers(entry["shape"], "header-bad-shape", "shape", at)
    if len(shape) > MAX_DIMENSIONS:
        raise _lie("header-bad-shape", f"{len(shape)} dimensions", at)
    offsets = _whole_numbers(entry["data_offsets"], "header-bad-offsets", "data_offsets", at)
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _lie("header-bad-offsets", f"data_offsets {list(offsets[:3])} are no range", at)
    elements = 1
    for extent in shape:
        elements *= extent
        if elements > MAX_ELEMENTS:
            raise _lie("header-bad-shape", "the shape overflows", at)
    if elements * dtype.itemsize != offsets[1] - offsets[0]:
        message = (
            f"{dtype.value} {list(shape)} needs {elements * dtype.itemsize:,} bytes, "
            f"data_offsets give {offsets[1] - offsets[0]:,}"
        )
        raise _lie("header-size-mismatch", message, at)
    return TensorRef(name, dtype, shape, "", start + offsets[0], start + offsets[1])


def _whole_numbers(value: Any, code: str, what: str, where: str) -> tuple[int, ...]:
    good = isinstance(value, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= MAX_ELEMENTS for v in value
    )
    if not good:
        raise _lie(code, f"{what} is not a list of whole numbers", where)
    return tuple(value)


def _check_layout(tensors: list[TensorRef], start: int, file_size: int, where: str) -> None:
    """No overlap, no gap, and the buffer ends where the file ends."""
    position = start
    for tensor in tensors:
        if tensor.begin != position:
            at = f"{where}: {shown(tensor.name)}"
            if tensor.begin < position:
                raise _lie("header-overlap", "its data overlap another tensor's", at)
            message = f"{tensor.begin - position:,} bytes before it belong to no tensor"
            raise _lie("header-gap", message, at)
        position = tensor.end
    if position > file_size:
        message = f"the data end at {position:,}, the file at {file_size:,}: it is truncated"
        raise _lie("data-truncated", message, where)
    if position < file_size:
        message = f"{file_size - position:,} bytes after the data belong to no tensor"
        raise _lie("data-trailing", message, where)
