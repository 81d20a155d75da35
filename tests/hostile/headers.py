"""Builders of safetensors byte strings, and one string for each lie that a header can tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LIES", "Lie", "container", "entry", "named", "simple"]


@dataclass(frozen=True, slots=True)
class Lie:
    """A file to be refused with ``code``; ``ours_alone``: safetensors itself lets it pass."""

    name: str
    code: str
    raw: bytes
    ours_alone: bool = False


def container(header: Mapping[str, Any] | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """Eight bytes of length (the true one when None), the header, the data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    """One tensor's entry, by default two float32 elements at the start of the data."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def named(**tensors: Any) -> dict[str, Any]:
    """A header's table."""
    return dict(tensors)


def simple() -> bytes:
    """A good file of two tensors and some metadata."""
    table = {
        "__metadata__": {"format": "pt"},
        "a": entry("BF16", [2, 3], [0, 12]),
        "b": entry("F32", [2], [12, 20]),
    }
    return container(table, bytes(range(20)))


def _raw(text: str | bytes, data: bytes = bytes(8)) -> bytes:
    return container(text.encode() if isinstance(text, str) else text, data)


_SHAPE = '{"a":{"dtype":"F32","shape":%s,"data_offsets":[0,8]}}'
_OFFSETS = '{"a":{"dtype":"F32","shape":[2],"data_offsets":%s}}'
_ONE = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
_TWO = bytes(16)

LIES: tuple[Lie, ...] = (
    Lie("empty file", "header-truncated", b""),
    Lie("seven bytes", "header-truncated", bytes(7)),
    Lie("header longer than the file", "header-truncated", container(b"{}", length=3)),
    Lie(
        "header of the largest allowed size in a short file",
        "header-truncated",
        container(b"{}", length=100_000_000),
    ),
    Lie("header one byte too large", "header-too-large", container(b"{}", length=100_000_001)),
    Lie("header of 2**64 - 1 bytes", "header-too-large", container(b"{}", length=2**64 - 1)),
    Lie("no header", "header-not-json", bytes(8)),
    Lie("zeros where the header is", "header-not-json", container(bytes(16))),
    Lie("cut JSON", "header-not-json", _raw('{"a":')),
    Lie("an array", "header-not-json", _raw("[]", b"")),
    Lie("a number", "header-not-json", _raw("1", b"")),
    Lie("space before the object", "header-not-json", _raw(" {}", b""), ours_alone=True),
    Lie("byte order mark", "header-not-json", _raw(b"\xef\xbb\xbf{}", b"")),
    Lie("two objects", "header-not-json", _raw("{}{}", b"")),
    Lie("a NUL after the object", "header-not-json", _raw("{}\0", b"")),
    Lie("invalid UTF-8 in a name", "header-not-json", _raw(b'{"\xff' + _ONE[1:].encode() + b"}")),
    Lie("overlong UTF-8", "header-not-json", _raw(b'{"\xc0\x80' + _ONE[1:].encode() + b"}")),
    Lie("UTF-16", "header-not-json", _raw("{}".encode("utf-16-le"), b"")),
    Lie(
        "half a surrogate pair in a name",
        "header-not-json",
        _raw(_ONE.replace('"a"', '{"\\ud800"') + "}"),
    ),
    Lie(
        "half a surrogate pair in the metadata",
        "header-not-json",
        _raw('{"__metadata__":{"k":"\\udc00"}}', b""),
    ),
    Lie("a control character in a name", "header-not-json", _raw(_ONE.replace('"a', '{"a\n') + "}")),
    Lie("deep arrays", "header-not-json", _raw('{"a":' + "[" * 100_000)),
    Lie("deep closed arrays", "header-not-json", _raw('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")),
    Lie("deep objects", "header-not-json", _raw('{"a":' * 100_000)),
    Lie("a number of 5,000 digits", "header-bad-shape", _raw(_SHAPE % f"[{'9' * 5000}]")),
    Lie(
        "the same name twice",
        "header-duplicate-name",
        _raw("{" + _ONE + "," + _ONE + "}"),
        ours_alone=True,
    ),
    Lie(
        "the same name spelt two ways",
        "header-duplicate-name",
        _raw("{" + _ONE + "," + _ONE.replace("a", "\\u0061", 1) + "}"),
        ours_alone=True,
    ),
    Lie("two dtypes", "header-duplicate-name", _raw('{"a":{"dtype":"F32",' + _ONE[5:] + "}")),
    Lie(
        "two tables of metadata",
        "header-duplicate-name",
        _raw('{"__metadata__":{},"__metadata__":{}}', b""),
    ),
    Lie(
        "the same metadata key twice",
        "header-duplicate-name",
        _raw('{"__metadata__":{"k":"v","k":"w"}}', b""),
        ours_alone=True,
    ),
    Lie("metadata a list", "header-metadata", container({"__metadata__": []})),
    Lie("metadata null", "header-metadata", container({"__metadata__": None}), ours_alone=True),
    Lie("metadata with a number", "header-metadata", container({"__metadata__": {"k": 1}})),
    Lie("metadata with null", "header-metadata", container({"__metadata__": {"k": None}})),
    Lie("nested metadata", "header-metadata", container({"__metadata__": {"k": {"l": "m"}}})),
    Lie("an entry null", "header-entry", container(named(a=None))),
    Lie(
        "an entry a list",
        "header-entry",
        container(named(a=["F32", [2], [0, 8]]), bytes(8)),
        ours_alone=True,
    ),
    Lie("an entry a number", "header-entry", container(named(a=1))),
    Lie(
        "an entry without shape",
        "header-entry",
        container(named(a={"dtype": "F32", "data_offsets": [0, 8]}), bytes(8)),
    ),
    Lie(
        "an entry with something more",
        "header-entry",
        container(named(a=entry() | {"strides": [1]}), bytes(8)),
        ours_alone=True,
    ),
    Lie("unknown dtype", "header-unknown-dtype", container(named(a=entry("F33")), bytes(8))),
    Lie("dtype in lower case", "header-unknown-dtype", container(named(a=entry("f32")), bytes(8))),
    Lie("dtype a list", "header-unknown-dtype", container(named(a=entry(["F32"])), bytes(8))),
    Lie(
        "dtype a deep list",
        "header-unknown-dtype",
        _raw('{"a":{"dtype":' + "[" * 900 + "]" * 900 + ',"shape":[2],"data_offsets":[0,8]}}'),
    ),
    Lie("dtype null", "header-unknown-dtype", container(named(a=entry(None)), bytes(8))),
    Lie("negative extent", "header-bad-shape", _raw(_SHAPE % "[-2]")),
    Lie("two negative extents", "header-bad-shape", _raw(_SHAPE % "[-2,-1]")),
    Lie("minus zero", "header-bad-shape", _raw(_SHAPE.replace("[0,8]", "[0,0]") % "[-0]", b"")),
    Lie("fractional extent", "header-bad-shape", _raw(_SHAPE % "[2.0]")),
    Lie("extent with an exponent", "header-bad-shape", _raw(_SHAPE % "[2e0]")),
    Lie("extent true", "header-bad-shape", _raw(_SHAPE % "[2,true]")),
    Lie("extent a string", "header-bad-shape", _raw(_SHAPE % '["2"]')),
    Lie("extent NaN", "header-bad-shape", _raw(_SHAPE % "[NaN]")),
    Lie("extent infinite", "header-bad-shape", _raw(_SHAPE % "[Infinity]")),
    Lie("extent 2**64", "header-bad-shape", _raw(_SHAPE % f"[{2**64}]")),
    Lie(
        "extents that overflow to the right size",
        "header-bad-shape",
        _raw(_SHAPE % f"[{2**63},4]", b""),
    ),
    Lie(
        "extents that overflow before a zero",
        "header-bad-shape",
        _raw(_SHAPE.replace("[0,8]", "[0,0]") % f"[{2**40},{2**40},0]", b""),
    ),
    Lie("shape a number", "header-bad-shape", _raw(_SHAPE % "2")),
    Lie("shape null", "header-bad-shape", _raw(_SHAPE % "null")),
    Lie("shape an object", "header-bad-shape", _raw(_SHAPE % "{}")),
    Lie(
        "65 dimensions",
        "header-bad-shape",
        _raw(_SHAPE % json.dumps([2] + [1] * 64)),
        ours_alone=True,
    ),
    Lie("negative offset", "header-bad-offsets", _raw(_OFFSETS % "[-8,0]")),
    Lie("end before begin", "header-bad-offsets", _raw(_OFFSETS % "[8,0]")),
    Lie("one offset", "header-bad-offsets", _raw(_OFFSETS % "[8]")),
    Lie("three offsets", "header-bad-offsets", _raw(_OFFSETS % "[0,8,16]")),
    Lie("offsets past 2**64", "header-bad-offsets", _raw(_OFFSETS % f"[{2**64},{2**64 + 8}]")),
    Lie("offset a string", "header-bad-offsets", _raw(_OFFSETS % '["0","8"]')),
    Lie("offset minus zero", "header-bad-offsets", _raw(_OFFSETS % "[-0,8]")),
    Lie("offsets an object", "header-bad-offsets", _raw(_OFFSETS % "{}")),
    Lie("shape larger than the bytes", "header-size-mismatch", _raw(_SHAPE % "[3]")),
    Lie("shape smaller than the bytes", "header-size-mismatch", _raw(_SHAPE % "[1]")),
    Lie(
        "dtype narrower than the bytes",
        "header-size-mismatch",
        container(named(a=entry("BF16")), bytes(8)),
    ),
    Lie("a scalar of two elements", "header-size-mismatch", _raw(_SHAPE % "[]")),
    Lie("no elements, eight bytes", "header-size-mismatch", _raw(_SHAPE % "[0]")),
    Lie(
        "two tensors on the same bytes",
        "header-overlap",
        container(named(a=entry(), b=entry()), bytes(8)),
    ),
    Lie(
        "two tensors that share four bytes",
        "header-overlap",
        container(named(a=entry(), b=entry(offsets=[4, 12])), bytes(12)),
    ),
    Lie(
        "an empty tensor inside another",
        "header-overlap",
        container(named(a=entry(), b=entry(shape=[0], offsets=[4, 4])), bytes(8)),
    ),
    Lie(
        "a gap before the first tensor",
        "header-gap",
        container(named(a=entry(offsets=[8, 16])), _TWO),
    ),
    Lie(
        "a gap between tensors",
        "header-gap",
        container(named(a=entry(), b=entry(offsets=[12, 20])), bytes(20)),
    ),
    Lie(
        "an empty tensor past the end",
        "header-gap",
        container(named(a=entry(), b=entry(shape=[0], offsets=[16, 16])), bytes(8)),
    ),
    Lie("the data cut by one byte", "data-truncated", _raw("{" + _ONE + "}", bytes(7))),
    Lie("no data", "data-truncated", _raw("{" + _ONE + "}", b"")),
    Lie(
        "four exabytes of data claimed",
        "data-truncated",
        container(named(a=entry("U8", [2**62], [0, 2**62]))),
    ),
    Lie("a byte after the data", "data-trailing", _raw("{" + _ONE + "}", bytes(9))),
    Lie("data without tensors", "data-trailing", _raw("{}", bytes(8))),
)
