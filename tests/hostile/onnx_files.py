"""ONNX files that lie: protocol buffers written by hand, one lie for each error code and more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["GOOD", "LIES", "OnnxLie", "field", "graph", "model", "tensor", "varint"]


def varint(value: int) -> bytes:
    out = bytearray()
    value &= 2**64 - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | int) -> bytes:
    """A varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(
    name: bytes = b"a.weight",
    dims: tuple[int, ...] = (2, 3),
    kind: int = 1,
    raw: bytes | None = bytes(24),
    **more: bytes,
) -> bytes:
    """A TensorProto; ``more["extra"]`` is appended."""
    made = b"".join(field(1, n) for n in dims) + field(2, kind) + field(8, name)
    return made + (b"" if raw is None else field(9, raw)) + more.get("extra", b"")


def external(location: bytes, offset: bytes = b"0", length: bytes = b"24") -> bytes:
    """A tensor whose data are in another file."""
    entries = ((b"location", location), (b"offset", offset), (b"length", length))
    told = b"".join(field(13, field(1, k) + field(2, v)) for k, v in entries)
    return tensor(raw=None, extra=told + field(14, 1))


def graph(*tensors: bytes, nodes: bytes = b"") -> bytes:
    return nodes + b"".join(field(5, t) for t in tensors)


def model(inside: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return field(1, 8) + field(2, b"test") + before + field(7, inside) + after


def _nested(levels: int) -> bytes:
    inside = b""
    for _ in range(levels):
        inside = field(1, field(4, b"If") + field(5, field(1, b"then") + field(6, inside)))
    return inside


GOOD = model(graph(tensor()))


@dataclass(frozen=True, slots=True)
class OnnxLie:
    """A file, and the code that refuses it."""

    name: str
    code: str
    make: Callable[[], bytes]


def _lie(name: str, code: str, raw: bytes | Callable[[], bytes]) -> OnnxLie:
    return OnnxLie(name, code, raw if callable(raw) else lambda: raw)


LIES = (
    _lie("cut within the data", "onnx-truncated", GOOD[:-8]),
    _lie("cut within a name", "onnx-truncated", GOOD[:20]),
    _lie("cut within a number", "onnx-truncated", field(1, 8) + b"\x12\xff"),
    _lie("a graph of exabytes", "onnx-truncated", field(1, 8) + field(2, b"x") + b"\x3a" + varint(2**62)),
    _lie(
        "a tensor larger than its graph",
        "onnx-wire",
        model(b"\x2a\x7f" + tensor(), after=field(6, bytes(200))),
    ),
    _lie("no graph", "onnx-wire", field(1, 8) + field(2, b"test")),
    _lie("two graphs", "onnx-wire", model(graph(tensor()), after=field(7, b""))),
    _lie("a group", "onnx-wire", model(b"", before=b"\x0b\x0c")),
    _lie("field zero", "onnx-wire", model(b"", before=b"\x00\x00")),
    _lie("a number of eleven bytes", "onnx-wire", model(b"", before=b"\x28" + b"\xff" * 10 + b"\x01")),
    _lie("a name that is not UTF-8", "onnx-wire", model(graph(tensor(b"\xff\xfe")))),
    _lie("a name that is a number", "onnx-wire", model(graph(field(8, 7)))),
    _lie("a graph that is a number", "onnx-wire", field(1, 8) + field(2, b"test") + field(7, 7)),
    _lie("packed extents that do not end", "onnx-wire", model(graph(field(1, b"\xff")))),
    _lie(
        "packed numbers that do not end",
        "onnx-wire",
        model(graph(tensor(raw=None, kind=7, extra=field(7, b"\x80")))),
    ),
    _lie("a negative extent", "onnx-shape", model(graph(tensor(dims=(-2, -3))))),
    _lie("extents that overflow", "onnx-shape", model(graph(tensor(dims=(2**40, 2**40))))),
    _lie("extents that overflow before a zero", "onnx-shape", model(graph(tensor(dims=(2**40, 2**40, 0))))),
    _lie("65 extents", "onnx-shape", model(graph(tensor(dims=(1,) * 65)))),
    _lie("a million extents", "onnx-shape", model(graph(field(1, b"\x01" * 1000)))),
    _lie("more numbers than bytes", "onnx-size", model(graph(tensor(dims=(2, 4))))),
    _lie("fewer numbers than bytes", "onnx-size", model(graph(tensor(dims=(2, 2))))),
    _lie("no data", "onnx-size", model(graph(tensor(raw=None)))),
    _lie("exabytes without data", "onnx-size", model(graph(tensor(dims=(2**60,), raw=None)))),
    _lie(
        "numbers one by one that are too few",
        "onnx-size",
        model(graph(tensor(kind=7, raw=None, extra=field(7, b"\x01\x02")))),
    ),
    _lie("a name twice", "onnx-duplicate-name", model(graph(tensor(), tensor()))),
    _lie("no name", "onnx-duplicate-name", model(graph(tensor(b"")))),
    _lie("data at a place that is no number", "onnx-external", model(graph(external(b"w.bin", b"-1")))),
    _lie("data of a length with spaces", "onnx-external", model(graph(external(b"w.bin", length=b" 24")))),
    _lie("data at a place of 5,000 digits", "onnx-external", model(graph(external(b"w.bin", b"9" * 5000)))),
    _lie("data in the parent folder", "onnx-external-escapes", model(graph(external(b"../w.bin")))),
    _lie("data at an absolute path", "onnx-external-escapes", model(graph(external(b"/etc/passwd")))),
    _lie("data behind a backslash", "onnx-external-escapes", model(graph(external(b"..\\w.bin")))),
    _lie("data in the folder itself", "onnx-external-escapes", model(graph(external(b".")))),
    _lie("data in no file", "onnx-external-escapes", model(graph(external(b"")))),
    _lie("data in the file itself", "onnx-external-escapes", model(graph(external(b"model.onnx")))),
    _lie("data past the other file's end", "onnx-truncated", model(graph(external(b"w.bin", b"9999")))),
    _lie("data that are not there", "input-missing", model(graph(external(b"absent.bin")))),
    _lie("data behind a link that leaves", "link-escapes", model(graph(external(b"out.bin")))),
    _lie("graphs in graphs", "onnx-too-large", model(_nested(12))),
    _lie("a thousand graphs in graphs", "onnx-too-large", lambda: model(_nested(1000))),
    _lie("a node with too many names", "onnx-too-large", lambda: model(field(1, field(1, b"x") * 5000))),
    _lie("millions of fields", "onnx-too-large", lambda: model(b"\x30\x00" * 2_100_000)),
    _lie("too many nodes", "onnx-too-large", lambda: model(field(1, b"") * 200_001)),
    _lie("a name of a megabyte", "onnx-too-large", lambda: model(graph(tensor(b"n" * 2**20)))),
)
