"""Rules that work on bfloat16 as it is stored make the bits that they make of decoded numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.methods.method import BitsRule, Parameters, Profile, Reader, Rule, bits_reader
from parentage.methods.registry import method
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader
from tests.methods.strategies import any_bits

# Blocks of 2,048 and a rest; a pass's chunk is longer.
SIZE = 9_001
CHUNK = 3_000


@dataclass(frozen=True)
class StoredReader(ArrayReader):
    """Operands of which the storage bits may be had too."""

    bits: NDArray[np.uint16] | None = None

    def read_bits(
        self, start: int, count: int, room: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        assert self.bits is not None
        found = self.bits[:, start : start + count]
        if room is None:
            return found.copy()
        given = room.reshape(found.shape)
        given[:] = found
        return given


def relatives(rng: np.random.Generator, models: int, hostile: bool) -> NDArray[np.uint16]:
    """Models [models, SIZE] of few distinct numbers, so that many differences are equal; or of any bits."""
    if hostile:
        return np.stack([any_bits(rng, DType.BF16, SIZE) for _ in range(models)]).astype(np.uint16)
    base = rng.integers(-40, 40, SIZE)
    values = np.stack([base + rng.integers(-9, 9, SIZE) for _ in range(models)]) / 64
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def readers(bits: NDArray[np.uint16], base: int | None) -> tuple[StoredReader, ArrayReader]:
    """One that hands out bits, and one that does not."""
    values = to_float32(bits.reshape(-1), DType.BF16).reshape(bits.shape)
    return StoredReader(values, DType.BF16, base, bits=bits), ArrayReader(values, DType.BF16, base)


def pieces(reader: Reader) -> Iterator[tuple[int, int]]:
    for start in range(0, reader.elements, CHUNK):
        yield start, min(CHUNK, reader.elements - start)


def plainly(rule: Rule, reader: ArrayReader) -> NDArray[np.unsignedinteger]:
    """Of decoded numbers."""
    parts = [rule.apply(s, np.ascontiguousarray(reader.read(s, n))) for s, n in pieces(reader)]
    return np.concatenate(parts)


PROFILES = [
    Profile("parentage-1", DType.BF16, DType.BF16),
    Profile("mergekit-0.1.5", DType.BF16, DType.BF16),
    Profile("mergekit-0.1.5", DType.F32, DType.BF16),
    Profile("mergekit-0.1.4", DType.F16, DType.BF16),
]
CASES = [
    ("linear", None, [{"weight": 0.6}, {"weight": 0.4}], {}),
    ("linear", None, [{"weight": 0.3}, {"weight": -0.4}, {"weight": 1.4}], {"normalize": False}),
    ("task_arithmetic", 1, [{"weight": 0.7}, {}, {"weight": -0.2}], {"lambda": 0.9}),
    ("ties", 0, [{}, {"weight": 0.7, "density": 0.41}, {"weight": 0.5}], {}),
    ("ties", 0, [{}, {"weight": 0.7, "density": 0.4}, {"weight": 0.5, "density": 0.0}], {"lambda": 1.1}),
    (
        "ties",
        5,
        [{"weight": 0.1 * (k + 1), "density": 0.15 * (k + 1)} for k in range(5)] + [{}],
        {"normalize": False},
    ),
    ("breadcrumbs_ties", 0, [{}, {"weight": 0.7, "density": 0.4, "gamma": 0.1}], {}),
]


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: f"{p.id} {p.dtype.value}")
@pytest.mark.parametrize(("name", "base", "rows", "shared"), CASES)
def test_the_same_bits_come_out_of_stored_and_of_decoded_operands(
    name: str,
    base: int | None,
    rows: list[dict[str, float]],
    shared: dict[str, float],
    profile: Profile,
    hostile: bool,
) -> None:
    bits = relatives(np.random.default_rng(len(rows)), len(rows), hostile)
    stored, decoded = readers(bits, base)
    given = Parameters(tuple(rows), shared)
    with np.errstate(all="ignore"):
        rule = method(name).prepare(stored, given, profile, "t")
        wanted = plainly(method(name).prepare(decoded, given, profile, "t"), decoded)
        assert np.array_equal(plainly(rule, decoded), wanted)
        if isinstance(rule, BitsRule) and rule.on_bits:
            made = [rule.apply_bits(s, stored.read_bits(s, n)) for s, n in pieces(stored)]
            assert np.array_equal(np.concatenate(made), wanted)


@pytest.mark.parametrize(("name", "base"), [("linear", None), ("ties", 0), ("task_arithmetic", 0)])
def test_our_own_arithmetic_works_on_stored_bits_and_other_formats_are_decoded(
    name: str, base: int | None
) -> None:
    stored, decoded = readers(relatives(np.random.default_rng(1), 2, False), base)
    rows = tuple({} if k == base else {"weight": 0.5} for k in range(2))
    given, ours = Parameters(rows, {}), Profile("parentage-1", DType.BF16, DType.BF16)

    def on_bits(reader: Reader, profile: Profile) -> bool:
        rule = method(name).prepare(reader, given, profile, "t")
        return isinstance(rule, BitsRule) and rule.on_bits

    assert on_bits(stored, ours)
    assert not on_bits(decoded, ours)
    assert not on_bits(stored, Profile("parentage-1", DType.F32, DType.F32))


def test_bits_of_models_of_several_formats_are_not_asked_for() -> None:
    class Mixed(StoredReader):
        @property
        def dtypes(self) -> tuple[DType, ...]:
            return DType.BF16, DType.F32

    bits = relatives(np.random.default_rng(1), 2, False)
    stored, _ = readers(bits, None)
    assert bits_reader(stored) is stored
    assert bits_reader(Mixed(stored.operands, DType.BF16, None, bits=bits)) is None
