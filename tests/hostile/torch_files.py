"""PyTorch archives that lie: a small writer, and one lie for each error code."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["LIES", "TorchLie", "archive", "pickled", "state", "tensor"]

HEAD, STOP = b"\x80\x02", b"."


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + tuple_of(*arguments) + b"R"


def storage(key: str = "0", elements: int = 6, kind: str = "FloatStorage") -> bytes:
    parts = (text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"), number(elements))
    return tuple_of(*parts) + b"Q"


def tensor(
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    offset: int = 0,
    of: bytes | None = None,
) -> bytes:
    """A pickled float32 view of storage 0."""
    sizes = (tuple_of(*map(number, values)) for values in (shape, strides))
    hooks = called("collections", "OrderedDict")
    parts = (storage() if of is None else of, number(offset), *sizes, b"\x89", hooks)
    return called("torch._utils", "_rebuild_tensor_v2", *parts)


def state(**tensors: bytes) -> bytes:
    """A pickle of a dictionary."""
    pairs = b"".join(text(name) + value for name, value in tensors.items())
    return HEAD + b"}(" + pairs + b"u" + STOP


def pickled(value: bytes) -> bytes:
    return HEAD + value + STOP


def archive(pickle: bytes, data: bytes = bytes(24), method: int = 0, **more: bytes) -> bytes:
    """An archive as torch.save writes it, without its padding."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr("archive/data.pkl", pickle)
        made.writestr("archive/byteorder", more.pop("byteorder", b"little"))
        made.writestr("archive/data/0", data)
        for name, raw in more.items():
            made.writestr(f"archive/{name}", raw)
    return out.getvalue()


GOOD = archive(state(a=tensor()))


def _entries(raw: bytes) -> list[int]:
    found, at = [], raw.find(b"PK\x01\x02")
    while at >= 0:
        found.append(at)
        at = raw.find(b"PK\x01\x02", at + 4)
    return found


def _patched(raw: bytes, at: int, new: bytes) -> bytes:
    return raw[:at] + new + raw[at + len(new) :]


def _in_entry(index: int, offset: int, new: bytes) -> bytes:
    return _patched(GOOD, _entries(GOOD)[index] + offset, new)


def _in_end(offset: int, new: bytes) -> bytes:
    return _patched(GOOD, GOOD.rfind(b"PK\x05\x06") + offset, new)


def _over_each_other() -> bytes:
    """The first member reaches into the second."""
    first = struct.unpack_from("<L", GOOD, _entries(GOOD)[0] + 42)[0]
    size = GOOD.find(b"PK\x03\x04", first + 4) + 30
    raw = _patched(GOOD, _entries(GOOD)[0] + 20, struct.pack("<2L", size, size))
    return raw


def _twice() -> bytes:
    out = io.BytesIO(GOOD)
    with zipfile.ZipFile(out, "a") as made:
        info = zipfile.ZipInfo("archive/byteorde2")
        made.writestr(info, b"little")
    return out.getvalue().replace(b"byteorde2", b"byteorder")


def _nested(levels: int) -> bytes:
    return (b"}" + text("a")) * levels + tensor() + b"s" * levels


def _laughs() -> bytes:
    """A dictionary of dictionaries, each ten times the one before: 10**12 tensors in a thousand bytes."""
    made = b"}" + text("t") + tensor() + b"sq\x00"
    for level in range(12):
        pairs = b"".join(text(str(k)) + b"h" + bytes([level]) for k in range(10))
        made += b"}(" + pairs + b"uq" + bytes([level + 1])
    return pickled(made)


@dataclass(frozen=True, slots=True)
class TorchLie:
    """A file, and the code that refuses it. ``names``: what the message must show."""

    name: str
    code: str
    make: Callable[[], bytes]
    names: str = ""


def _lie(name: str, code: str, raw: bytes | Callable[[], bytes], names: str = "") -> TorchLie:
    return TorchLie(name, code, raw if callable(raw) else lambda: raw, names)


LIES = (
    _lie("no end", "torch-truncated", GOOD[:-8]),
    _lie("half a file", "torch-truncated", GOOD[: len(GOOD) // 2]),
    _lie("only the first bytes", "torch-truncated", GOOD[:30]),
    _lie("something behind the end", "torch-truncated", GOOD + b"x"),
    _lie("a shell script behind the end", "torch-truncated", GOOD + b"#!/bin/sh\nrm -rf /\n"),
    _lie("a member past the data", "torch-truncated", _in_entry(2, 20, struct.pack("<2L", 2**30, 2**30))),
    _lie("a header past the data", "torch-truncated", _in_entry(2, 42, struct.pack("<L", 2**31))),
    _lie("several volumes", "torch-zip", _in_end(4, b"\x01\x00")),
    _lie("a directory elsewhere", "torch-zip", _in_end(16, b"\x00\x00\x00\x00")),
    _lie("one member more than there are", "torch-zip", _in_end(8, struct.pack("<2H", 4, 4))),
    _lie("one member fewer than there are", "torch-zip", _in_end(8, struct.pack("<2H", 2, 2))),
    _lie("a long directory that is not there", "torch-zip", _in_end(8, b"\xff\xff\xff\xff")),
    _lie("a long size that is not there", "torch-zip", _in_entry(2, 20, b"\xff" * 8)),
    _lie("encrypted", "torch-zip", _in_entry(2, 8, b"\x01\x00")),
    _lie("a member twice", "torch-zip", _twice),
    _lie("a name that the member's header does not have", "torch-zip", _in_entry(1, 46, b"A")),
    _lie("a name that is not UTF-8", "torch-zip", _in_entry(1, 46, b"\xff")),
    _lie(
        "a bomb",
        "torch-zip-compressed",
        lambda: archive(state(a=tensor()), bytes(10**7), zipfile.ZIP_DEFLATED),
    ),
    _lie("sizes that differ", "torch-zip-compressed", _in_entry(2, 24, struct.pack("<L", 23))),
    _lie("members over each other", "torch-zip-overlap", _over_each_other),
    _lie("a zip of something else", "torch-no-pickle", lambda: _zip({"word/document.xml": b"<w/>"})),
    _lie("two pickles", "torch-no-pickle", lambda: _zip({"a/data.pkl": b"", "b/data.pkl": b""})),
    _lie("big-endian", "torch-byte-order", archive(state(a=tensor()), byteorder=b"big")),
    _lie(
        "an order of a megabyte",
        "torch-too-large",
        lambda: archive(state(a=tensor()), byteorder=bytes(2**20)),
    ),
    _lie(
        "a system call",
        "torch-pickle-global",
        archive(pickled(b"cos\nsystem\n(X\x02\x00\x00\x00idtR")),
        "os.system",
    ),
    _lie("a system call of old", "torch-pickle-global", archive(pickled(b"(ios\nsystem\n")), "os.system"),
    _lie(
        "a system call by names on the stack",
        "torch-pickle-global",
        archive(pickled(text("posix") + text("system") + b"\x93")),
        "posix.system",
    ),
    _lie("eval", "torch-pickle-global", archive(pickled(b"cbuiltins\neval\n")), "builtins.eval"),
    _lie(
        "a class of torch", "torch-pickle-global", archive(pickled(b"ctorch.jit\nload\n")), "torch.jit.load"
    ),
    _lie(
        "a name that steers a terminal",
        "torch-pickle-global",
        archive(pickled(b"cos\x1b[2J\nsystem\n")),
        "\\x1b",
    ),
    _lie(
        "a name of a part of an allowed one",
        "torch-pickle-global",
        archive(pickled(b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n")),
        "__globals__",
    ),
    _lie("an empty pickle", "torch-pickle", archive(b"")),
    _lie("no stop", "torch-pickle", archive(HEAD + b"}")),
    _lie("no value", "torch-pickle", archive(HEAD + STOP)),
    _lie("protocol 9", "torch-pickle", archive(b"\x80\x09}.")),
    _lie("an opcode of extensions", "torch-pickle", archive(pickled(b"\x82\x01"))),
    _lie("a new object", "torch-pickle", archive(pickled(b"ctorch\nSize\n)\x81"))),
    _lie("a text longer than the pickle", "torch-pickle", archive(pickled(b"X\xff\xff\xff\x7fa"))),
    _lie("a text of 2**63 bytes", "torch-pickle", archive(pickled(b"\x8d" + b"\xff" * 7 + b"\x7f"))),
    _lie("a number of 2 GB", "torch-pickle", archive(pickled(b"\x8b\xff\xff\xff\x7f"))),
    _lie("a number of -1 bytes", "torch-pickle", archive(pickled(b"\x8b\xff\xff\xff\xff"))),
    _lie("half a surrogate", "torch-pickle", archive(pickled(b"X\x03\x00\x00\x00\xed\xa0\x80"))),
    _lie("a mark that is not there", "torch-pickle", archive(pickled(b"t"))),
    _lie("a value from below a mark", "torch-pickle", archive(pickled(b"}X\x01\x00\x00\x00a(ss"))),
    _lie("a memory that is not there", "torch-pickle", archive(pickled(b"h\x07"))),
    _lie("a call of a dictionary", "torch-pickle", archive(pickled(b"})R"))),
    _lie("a call of a dtype", "torch-pickle", archive(pickled(b"ctorch\nfloat32\n)R"))),
    _lie("a key that is a list", "torch-pickle", archive(pickled(b"}]K\x01s"))),
    _lie("attributes of a list", "torch-pickle", archive(pickled(b"]}b"))),
    _lie("a storage that is a name", "torch-pickle", archive(pickled(b"X\x01\x00\x00\x00aQ"))),
    _lie("a storage of -1 numbers", "torch-pickle", archive(state(a=tensor(of=storage(elements=-1))))),
    _lie("a negative extent", "torch-pickle", archive(state(a=tensor((-2, 3))))),
    _lie("a negative stride", "torch-pickle", archive(state(a=tensor(strides=(-3, 1), offset=3)))),
    _lie("an extent of 2**70", "torch-pickle", archive(state(a=tensor((2**70, 0))))),
    _lie("a shape that overflows", "torch-pickle", archive(state(a=tensor((2**40, 2**40), (0, 0))))),
    _lie("more extents than strides", "torch-pickle", archive(state(a=tensor((2, 3), (1,))))),
    _lie("65 extents", "torch-pickle", archive(state(a=tensor((1,) * 65, (1,) * 65)))),
    _lie(
        "a tensor of nothing",
        "torch-pickle",
        archive(state(a=called("torch._utils", "_rebuild_tensor_v2"))),
    ),
    _lie(
        "a parameter of a number",
        "torch-pickle",
        archive(state(a=called("torch._utils", "_rebuild_parameter", number(1), b"\x89", b"N"))),
    ),
    _lie("a storage that is not there", "torch-storage", archive(state(a=tensor(of=storage("../0"))))),
    _lie(
        "a storage larger than its member",
        "torch-storage",
        archive(state(a=tensor(of=storage(elements=7)))),
    ),
    _lie(
        "a storage of exabytes",
        "torch-storage",
        archive(state(a=tensor((2**60,), (1,), of=storage(elements=2**60)))),
    ),
    _lie("a view past its storage", "torch-storage", archive(state(a=tensor((3, 3))))),
    _lie("a view that begins past its storage", "torch-storage", archive(state(a=tensor(offset=1)))),
    _lie("a stride past its storage", "torch-storage", archive(state(a=tensor(strides=(2**61, 1))))),
    _lie(
        "two ways to one name",
        "torch-duplicate-name",
        archive(pickled(b"}(" + text("a.b") + tensor() + text("a") + b"}" + text("b") + tensor() + b"su")),
    ),
    _lie("a thousand levels", "torch-too-large", lambda: archive(pickled(_nested(1000)))),
    _lie(
        "a dictionary that holds itself",
        "torch-too-large",
        archive(pickled(b"}q\x00" + text("a") + b"h\x00s")),
    ),
    _lie("ten to the twelfth tensors", "torch-too-large", lambda: archive(_laughs())),
    _lie("millions of opcodes", "torch-too-large", lambda: archive(HEAD + b"N0" * 2_000_000 + STOP)),
    _lie("a pickle of 100 MB", "torch-too-large", lambda: archive(bytes(100 * 2**20))),
)


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, raw in members.items():
            made.writestr(name, raw)
    return out.getvalue()
