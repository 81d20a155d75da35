"""The streaming replay against the plain one on the same numbers, and against counts done by hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.architectures.roles import role_of
from parentage.evidence.blends.mixtures import AS_STORED
from parentage.evidence.replaying.replays import Recipe, prepare, replay_tensor
from parentage.evidence.sampling.reading import ModelSlice, TensorSample
from parentage.methods.linear import ARITHMETICS, arithmetic
from parentage.methods.linear_stream import LinearStream
from parentage.numerics.storage.formats import round_to, to_float32, to_float64
from parentage.numerics.streaming.replay_kernels import (
    BEYOND,
    BLOCK,
    EXAMINED,
    INFORMATIVE,
    INFORMATIVE_MATCHES,
    MATCHES,
    OFFSETS,
)
from parentage.records.dtypes import DType
from tests.methods.strategies import FLOATS, WEIGHTS, any_bits, bits

NAMES = [a.id for a in ARITHMETICS]
Bits = NDArray[Any]


def rows(models: Sequence[Bits]) -> NDArray[np.uint8]:
    """[models, bytes], as the reader lays them out."""
    out = np.zeros((len(models), max(m.nbytes for m in models) // 4 * 4 + 4), np.uint8)
    for row, model in zip(out, models, strict=True):
        row[: model.nbytes] = model.view(np.uint8)
    return out


def streamed(stream: LinearStream, models: Sequence[Bits], cuts: Sequence[int] = ()) -> list[int]:
    """Counts over chunks that end at ``cuts``."""
    edges = [0, *sorted(cuts), models[0].size]
    total = np.zeros(OFFSETS + 17, np.int64)
    for begin, end in pairwise(edges):
        total += stream.count(rows([m[begin:end] for m in models]), end - begin)
    return [int(x) for x in total]


def plain(stream: LinearStream, models: Sequence[Bits]) -> list[int]:
    """The same counts by the sampled pass."""
    with np.errstate(all="ignore"):
        slices = tuple(
            ModelSlice(to_float64(b, d), d, d) for b, d in zip(models, stream.stored, strict=True)
        )
        own = ModelSlice(slices[0].values, stream.stored[0], stream.out)
        sample = TensorSample(
            "w",
            role_of("w"),
            (models[0].size,),
            models[0].size,
            True,
            np.zeros(models[0].size, np.int32),
            (own, *slices[1:]),
        )
        parents = tuple(range(1, len(models)))
        cast = AS_STORED if stream.cast is None else stream.cast.value
        operands = prepare(sample, 0, parents, cast)
        assert operands is not None
        found = replay_tensor("w", operands, Recipe(parents, stream.weights, stream.arithmetic, cast))
    return [
        found.examined,
        found.matches,
        found.informative,
        found.informative_matches,
        found.beyond_rounding,
        *found.offsets,
    ]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_stream_counts_what_the_plain_replay_counts_on_any_bits(name: str, data: st.DataObject) -> None:
    count = 2 if arithmetic(name).two_only else data.draw(st.integers(1, 8))
    size = data.draw(st.integers(1, 8))
    stored = tuple(data.draw(st.lists(st.sampled_from(FLOATS), min_size=count + 1, max_size=count + 1)))
    weights = tuple(data.draw(st.lists(WEIGHTS, min_size=count, max_size=count)))
    cast = data.draw(st.sampled_from([None, DType.BF16, DType.F16]))
    stream = LinearStream(arithmetic(name), weights, stored, stored[0], cast)
    models = [data.draw(bits(d, size)) for d in stored]
    if data.draw(st.booleans()):
        # A real merge here and there, or every element would miss.
        parents = [to_float32(b, d) for b, d in zip(models[1:], stored[1:], strict=True)]
        blend = stream.arithmetic.apply(weights, parents, out_dtype=stored[0])
        models[0] = np.where(data.draw(bits(DType.F32, size)) % 3 > 0, blend, models[0])
    cuts = data.draw(st.lists(st.integers(0, size), max_size=2))
    assert streamed(stream, models, cuts) == plain(stream, models)


@pytest.mark.parametrize("stored", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_the_stream_counts_what_the_plain_replay_counts_on_many_bits(name: str, stored: DType) -> None:
    rng = np.random.default_rng(4)
    for trial in range(6):
        count = 2 if arithmetic(name).two_only else (1, 2, 3, 4, 6, 8)[trial]
        dtypes = (stored, *(FLOATS[k] for k in rng.integers(0, 3, count)))
        cast = (None, DType.BF16, DType.F16)[trial % 3]
        weights = tuple(rng.uniform(-1, 2, count).tolist())
        models = [any_bits(rng, d, 2 * BLOCK + 100) for d in dtypes]
        stream = LinearStream(arithmetic(name), weights, dtypes, stored, cast)
        assert streamed(stream, models, [BLOCK + 3]) == plain(stream, models)


@pytest.mark.parametrize("stored", FLOATS)
def test_rows_may_begin_at_any_word(stored: DType) -> None:
    rng = np.random.default_rng(7)
    stream = LinearStream(arithmetic(NAMES[0]), (0.6, 0.4), (stored, DType.BF16, DType.F32), stored)
    models = [any_bits(rng, d, BLOCK + 77) for d in stream.stored]
    lying = rows(models)
    shifts = (4, 0, 4 * 21)
    moved = np.full((3, lying.shape[1] + max(shifts)), 0x5A, np.uint8)
    for row, model, begin in zip(moved, lying, shifts, strict=True):
        row[begin : begin + model.size] = model
    counted = stream.count(moved, models[0].size, shifts)
    assert counted.tolist() == streamed(stream, models)


def planted(
    name: str, stored: DType, parent: DType, weights: tuple[float, ...], size: int
) -> tuple[LinearStream, list[Bits]]:
    rng = np.random.default_rng(5)
    base = rng.standard_normal(size) * 0.02
    parents = [round_to(base + 2e-4 * rng.standard_normal(size), parent) for _ in weights]
    blend = arithmetic(name).apply(weights, [to_float32(p, parent) for p in parents], out_dtype=stored)
    dtypes = (stored, *(parent for _ in weights))
    return LinearStream(arithmetic(name), weights, dtypes, stored), [blend, *parents]


@pytest.mark.parametrize("weights", [(0.6, 0.4), (0.5, 0.3, 0.2)])
@pytest.mark.parametrize("stored", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_merge_of_the_recipe_matches_in_every_element(
    name: str, stored: DType, weights: tuple[float, ...]
) -> None:
    if arithmetic(name).two_only and len(weights) > 2:
        weights = (0.25, 0.75)
    for parent in FLOATS:
        stream, models = planted(name, stored, parent, weights, 3 * BLOCK + 17)
        counts = streamed(stream, models)
        assert counts[EXAMINED] == counts[MATCHES] == models[0].size
        assert counts[INFORMATIVE] == counts[INFORMATIVE_MATCHES] > 0
        assert counts == plain(stream, models)


@pytest.mark.parametrize("share", [1e-3, 0.3, 1.0])
@pytest.mark.parametrize("stored", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_merge_is_counted_as_the_plain_replay_counts_it(
    name: str, stored: DType, share: float
) -> None:
    stream, models = planted(name, stored, stored, (0.6, 0.4), 20 * BLOCK + 5)
    rng = np.random.default_rng(6)
    steps = rng.integers(-12, 13, models[0].size) * (rng.random(models[0].size) < share)
    models[0] = (models[0].astype(np.int64) + steps).astype(models[0].dtype)
    counts = streamed(stream, models, [3 * BLOCK + 7, 9 * BLOCK])
    assert counts == plain(stream, models)
    assert counts[MATCHES] == np.count_nonzero(steps == 0)
    assert counts[BEYOND] > 0


def test_one_changed_bit_in_a_million_is_found_and_placed() -> None:
    stream, models = planted("fp32-fma", DType.BF16, DType.BF16, (0.6, 0.4), 1_000_000)
    models[0][777_777] += 1
    away = 1 if models[0][777_777] < 0x8000 else -1
    counts = streamed(stream, models)
    assert counts[EXAMINED] - counts[MATCHES] == 1
    assert counts[OFFSETS + 8 + away] == 1


def test_nan_and_infinity_are_left_out_and_the_rest_is_counted() -> None:
    stream, models = planted("fp32-sum", DType.BF16, DType.BF16, (0.6, 0.4), 2 * BLOCK)
    models[0][5], models[1][BLOCK + 1], models[2][BLOCK + 2] = 0x7FC0, 0x7F80, 0xFF80
    counts = streamed(stream, models)
    assert counts[EXAMINED] == counts[MATCHES] == 2 * BLOCK - 3
    assert counts == plain(stream, models)


@pytest.mark.parametrize("rule", ["fp32-sum", "fp32-fma", "mergekit-0.1.4"])
def test_an_infinity_that_the_blend_reproduces_is_left_out_too(rule: str) -> None:
    stream, models = planted(rule, DType.BF16, DType.BF16, (0.6, 0.4), BLOCK)
    models[1][:3] = 0x7F80
    models[2][2] = 0xFF80
    parents = [to_float32(m, DType.BF16) for m in models[1:]]
    models[0] = stream.arithmetic.apply(stream.weights, parents, out_dtype=DType.BF16)
    counts = streamed(stream, models)
    assert counts[EXAMINED] == counts[MATCHES] == BLOCK - 3


@pytest.mark.parametrize("rule", ["fp32-sum", "fp32-fma"])
def test_a_blend_that_overflows_to_the_suspects_infinity_is_left_out(rule: str) -> None:
    stream, models = planted(rule, DType.BF16, DType.BF16, (2.0, -1.0), BLOCK)
    models[1][7], models[2][7] = 0x7F7F, 0x7F00
    parents = [to_float32(m, DType.BF16) for m in models[1:]]
    models[0] = stream.arithmetic.apply(stream.weights, parents, out_dtype=DType.BF16)
    assert models[0][7] == 0x7F80
    counts = streamed(stream, models)
    assert counts[EXAMINED] == counts[MATCHES] == BLOCK - 1


def test_a_model_of_nothing_but_nan_leaves_nothing_to_examine() -> None:
    stream, models = planted("fp32-sum", DType.BF16, DType.BF16, (0.6, 0.4), 100)
    models[0][:] = 0x7FC0
    assert streamed(stream, models) == [0] * (OFFSETS + 17)


def test_zeros_of_both_signs_are_one_number() -> None:
    stream = LinearStream(arithmetic("fp32-sum"), (0.5, 0.5), (DType.BF16,) * 3, DType.BF16)
    zero, minus = np.zeros(4, np.uint16), np.full(4, 0x8000, np.uint16)
    counts = streamed(stream, [minus, zero, minus])
    assert counts[MATCHES] == 4
    assert counts[INFORMATIVE] == 0


def test_a_number_between_two_grid_points_never_matches() -> None:
    # A float32 file that a sample showed to hold bfloat16 numbers, and one number that is none.
    stream, models = planted("fp32-sum", DType.BF16, DType.BF16, (0.6, 0.4), 64)
    wide = to_float32(models[0], DType.BF16).view(np.uint32)
    stream = LinearStream(
        stream.arithmetic, stream.weights, (DType.F32, DType.BF16, DType.BF16), DType.BF16
    )
    assert streamed(stream, [wide, *models[1:]])[MATCHES] == 64
    wide[7] += 1
    counts = streamed(stream, [wide, *models[1:]])
    assert counts[MATCHES] == 63
    assert counts[OFFSETS + 7] + counts[OFFSETS + 9] == 1


def test_casts_come_before_the_blend() -> None:
    rng = np.random.default_rng(8)
    parents = [rng.standard_normal(4096).astype(np.float32) for _ in range(2)]
    cast = [to_float32(round_to(p, DType.BF16), DType.BF16) for p in parents]
    blend = arithmetic("fp32-fma").apply((0.6, 0.4), cast, out_dtype=DType.BF16)
    models = [blend, *(p.view(np.uint32) for p in parents)]
    dtypes = (DType.BF16, DType.F32, DType.F32)
    as_cast = LinearStream(arithmetic("fp32-fma"), (0.6, 0.4), dtypes, DType.BF16, DType.BF16)
    as_stored = LinearStream(arithmetic("fp32-fma"), (0.6, 0.4), dtypes, DType.BF16)
    assert streamed(as_cast, models)[MATCHES] == 4096
    assert streamed(as_stored, models)[MATCHES] < 4096


def test_formats_that_are_not_compiled_are_named() -> None:
    assert LinearStream.supports([DType.BF16, DType.F16, DType.F32])
    assert not LinearStream.supports([DType.BF16, DType.F64])
    assert not LinearStream.supports([DType.F8_E4M3])


QUICK = ["fp32-sum", "fp32-fma", "mergekit-0.1.4", "fp32-rest"]


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.02, 0.2, 0.9])
@pytest.mark.parametrize("weights", [(0.6, 0.4), (0.5, 0.5), (1.75, -0.75)])
@pytest.mark.parametrize("name", QUICK)
def test_a_quick_look_counts_as_the_plain_replay_does(
    name: str, weights: tuple[float, ...], share: float
) -> None:
    """Changed by steps of any size, some blocks not at all, one of them with an odd end."""
    rng = np.random.default_rng(11)
    size = 9 * BLOCK + 77
    stream, models = planted(name, DType.BF16, DType.BF16, weights, size)
    changed = rng.random(size) < share
    changed[: 2 * BLOCK] = False
    models[0][changed] += rng.integers(-9, 10, changed.sum()).astype(np.uint16)
    assert streamed(stream, models, [BLOCK + 2, 5 * BLOCK + 1]) == plain(stream, models)


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_look_at_finite_extremes_counts_as_the_plain_replay_does(name: str) -> None:
    """Both zeros, subnormals, the largest numbers, blends that overflow, and what they meet."""
    rng = np.random.default_rng(12)
    extremes = np.array([0, 1, 2, 0x7F, 0x80, 0x3F80, 0x7F00, 0x7F7E, 0x7F7F], np.uint16)
    extremes = np.concatenate([extremes, extremes | np.uint16(0x8000)])
    models = [rng.choice(extremes, 4 * BLOCK) for _ in range(3)]
    stream = LinearStream(arithmetic(name), (1.5, 0.75), (DType.BF16,) * 3, DType.BF16)
    parents = [to_float32(b, DType.BF16) for b in models[1:]]
    with np.errstate(all="ignore"):
        blend = stream.arithmetic.apply((1.5, 0.75), parents, out_dtype=DType.BF16)
    models[0] = np.where(rng.random(4 * BLOCK) < 0.9, blend, models[0])
    assert streamed(stream, models) == plain(stream, models)
    # Where all is finite, nothing but the quick look is left to say so.
    models[0] = np.where((models[0] & 0x7FFF) < 0x7F80, models[0], np.uint16(0))
    assert streamed(stream, models) == plain(stream, models)


@pytest.mark.parametrize("bad", [0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7FFF])
@pytest.mark.parametrize("model", [0, 1, 2])
def test_one_number_that_is_not_finite_ends_the_quick_look_at_its_block(model: int, bad: int) -> None:
    stream, models = planted("fp32-fma", DType.BF16, DType.BF16, (0.6, 0.4), 3 * BLOCK)
    models[model][BLOCK + 9] = bad
    found = streamed(stream, models)
    assert found == plain(stream, models)
    assert found[EXAMINED] == found[MATCHES] == 3 * BLOCK - 1


@pytest.mark.parametrize("stored", [DType.BF16, DType.F16, DType.F32])
@pytest.mark.parametrize("piece", [64, 1000, 2**16])
def test_files_are_counted_as_numbers_in_memory_are(tmp_path: Path, stored: DType, piece: int) -> None:
    stream, models = planted("fp32-fma", stored, stored, (0.6, 0.4), 20_001)
    models[0][::7] += models[0].dtype.type(1)
    files = []
    with ExitStack() as stack:
        for k, bits_of_it in enumerate(models):
            path = tmp_path / str(k)
            path.write_bytes(b"x" * (k + 1) + bits_of_it.tobytes())
            files.append((stack.enter_context(path.open("rb")).fileno(), k + 1))
        room = np.empty((3, piece * stored.itemsize), np.uint8)
        counts, done = stream.count_files(files, 20_001, room, piece)
    assert done == 20_001
    assert [int(x) for x in counts] == streamed(stream, models)


def test_a_file_that_ends_early_tells_how_far_all_were_read(tmp_path: Path) -> None:
    stream, models = planted("fp32-fma", DType.BF16, DType.BF16, (0.6, 0.4), 20_000)
    with ExitStack() as stack:
        files = []
        for k, bits_of_it in enumerate(models):
            path = tmp_path / str(k)
            path.write_bytes(bits_of_it.tobytes()[: 25_000 if k == 1 else None])
            files.append((stack.enter_context(path.open("rb")).fileno(), 0))
        counts, done = stream.count_files(files, 20_000, np.empty((3, 2048), np.uint8), 1024)
    assert done == 12 * 1024
    assert [int(x) for x in counts] == streamed(stream, [m[:done] for m in models])
