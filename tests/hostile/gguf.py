"""Builders of GGUF byte strings, and one string for each lie that the head of such a file can tell."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests.hostile.headers import Lie

__all__ = ["GGUF_LIES", "array", "gguf", "simple_gguf", "tensor", "text", "value"]

F32, Q8_0 = 0, 8
NUMBER, WORDS, LIST = 4, 8, 9


def text(words: str | bytes) -> bytes:
    """A string with its length."""
    raw = words if isinstance(words, bytes) else words.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(name: str | bytes, kind: int, raw: bytes) -> bytes:
    """One named value."""
    return text(name) + struct.pack("<I", kind) + raw


def array(kind: int, count: int, raw: bytes = b"") -> bytes:
    """The bytes of an array."""
    return struct.pack("<IQ", kind, count) + raw


def tensor(name: str | bytes, extents: Sequence[int] = (2,), kind: int = F32, offset: int = 0) -> bytes:
    """One tensor's entry, by default two float32 elements at the start of the data."""
    inner = struct.pack(f"<I{len(extents)}Q", len(extents), *extents)
    return text(name) + inner + struct.pack("<IQ", kind, offset)


def gguf(
    tensors: Sequence[bytes] = (),
    values: Sequence[bytes] = (),
    data: bytes = bytes(64),
    *,
    version: bytes = struct.pack("<I", 3),
    counts: tuple[int, int] | None = None,
    alignment: int = 32,
) -> bytes:
    """A file; the counts are the true ones unless given."""
    told = counts or (len(tensors), len(values))
    head = b"GGUF" + version + struct.pack("<QQ", *told) + b"".join((*values, *tensors))
    return head + bytes(-len(head) % alignment) + data


def simple_gguf() -> bytes:
    """A good file: values of several types, a plain tensor and one in blocks."""
    values = [
        value("general.architecture", WORDS, text("llama")),
        value("llama.block_count", NUMBER, struct.pack("<I", 2)),
        value("tokenizer.chat_template", WORDS, text("{{ messages }}")),
        value("tokenizer.ggml.tokens", LIST, array(WORDS, 2, text("a") + text(b"\xff"))),
        value("tokenizer.ggml.scores", LIST, array(6, 2, bytes(8))),
        value("nested", LIST, array(LIST, 1, array(NUMBER, 1, bytes(4)))),
    ]
    tensors = [tensor("a", (3, 2)), tensor("b", (32, 1), Q8_0, 32)]
    scale = struct.pack("<e", 0.5)
    return gguf(tensors, values, struct.pack("<6f", *range(6)) + bytes(8) + scale + bytes(range(32)))


_HUGE = 2**60
_NEST = array(LIST, 1, array(LIST, 1, array(LIST, 1, array(LIST, 1, array(NUMBER, 0)))))

GGUF_LIES: tuple[Lie, ...] = (
    Lie("four bytes", "gguf-truncated", b"GGUF"),
    Lie("a head cut short", "gguf-truncated", simple_gguf()[:200]),
    Lie("an entry cut short", "gguf-truncated", gguf([tensor("a", (2, 2, 2))], data=b"")[:50]),
    Lie("data cut short", "gguf-truncated", simple_gguf()[:-1]),
    Lie("another magic number", "gguf-version", b"GGML" + gguf()[4:]),
    Lie("version 1", "gguf-version", gguf(version=struct.pack("<I", 1))),
    Lie("version 99", "gguf-version", gguf(version=struct.pack("<I", 99))),
    Lie("big-endian", "gguf-version", gguf(version=struct.pack(">I", 3))),
    Lie("tensors beyond the file", "gguf-too-large", gguf(counts=(_HUGE, 0))),
    Lie("values beyond the file", "gguf-too-large", gguf(counts=(0, _HUGE))),
    Lie(
        "a string of exabytes", "gguf-too-large", gguf(values=[value("a", WORDS, struct.pack("<Q", _HUGE))])
    ),
    Lie("a name of exabytes", "gguf-too-large", gguf([struct.pack("<Q", _HUGE) + bytes(32)])),
    Lie("words beyond the file", "gguf-too-large", gguf(values=[value("a", LIST, array(WORDS, _HUGE))])),
    Lie("numbers beyond the file", "gguf-too-large", gguf(values=[value("a", LIST, array(NUMBER, _HUGE))])),
    Lie("a value of no type", "gguf-bad-value", gguf(values=[value("a", 13, bytes(8))])),
    Lie("an array of no type", "gguf-bad-value", gguf(values=[value("a", LIST, array(99, 1, bytes(8)))])),
    Lie("neither true nor false", "gguf-bad-value", gguf(values=[value("a", 7, b"\2")])),
    Lie("arrays nested too deep", "gguf-bad-value", gguf(values=[value("a", LIST, _NEST)])),
    Lie("a name that is not text", "gguf-bad-value", gguf([tensor(b"\xff\xfe")])),
    Lie("a value twice", "gguf-duplicate-name", gguf(values=[value("a", NUMBER, bytes(4))] * 2)),
    Lie("a tensor twice", "gguf-duplicate-name", gguf([tensor("a"), tensor("a", offset=32)])),
    Lie("five extents", "gguf-bad-shape", gguf([tensor("a", (1, 1, 1, 1, 1))])),
    Lie("a shape that overflows", "gguf-bad-shape", gguf([tensor("a", (2**40, 2**40))])),
    Lie("half a block", "gguf-bad-shape", gguf([tensor("a", (16, 2), Q8_0)])),
    Lie("a block without extents", "gguf-bad-shape", gguf([tensor("a", (), Q8_0)])),
    Lie("a type that is none", "gguf-unknown-type", gguf([tensor("a", kind=77)])),
    Lie("a type without a decoder", "gguf-unknown-type", gguf([tensor("a", (32,), 9)])),
    Lie(
        "an alignment of zero",
        "gguf-alignment",
        gguf(values=[value("general.alignment", NUMBER, bytes(4))]),
    ),
    Lie(
        "an alignment in words",
        "gguf-alignment",
        gguf(values=[value("general.alignment", WORDS, text("x"))]),
    ),
    Lie("an offset between", "gguf-alignment", gguf([tensor("a", offset=4)])),
    Lie("an overlap", "gguf-overlap", gguf([tensor("a", (16,)), tensor("b", offset=32)])),
    Lie("the same bytes", "gguf-overlap", gguf([tensor("a"), tensor("b")])),
    Lie("data beyond the file", "gguf-truncated", gguf([tensor("a", offset=2**40)])),
    Lie("an offset that overflows", "gguf-truncated", gguf([tensor("a", offset=2**64 - 32)])),
)
