"""Quantisers of our own give the bytes that the formats' own libraries give, and their codes are theirs."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import quants
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parentage.numerics.storage.formats import magnitude_values, round_to, to_float64
from parentage.numerics.storage.quantizers import (
    GGUF_QUANTIZERS,
    ROUNDINGS,
    code_float8,
    code_integers,
    pack,
    quantize_blocks,
    unpack,
)
from parentage.records.dtypes import DType

FORMATS = sorted(GGUF_QUANTIZERS)


def library(values: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return quants.quantize(values, Kind[name])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("scale", [1e-9, 1e-4, 0.02, 1.0, 300.0])
def test_blocks_are_the_librarys_byte_for_byte(name: str, scale: float) -> None:
    values = np.random.default_rng(5).normal(0, scale, (4000, 32)).astype(np.float32)
    assert np.array_equal(pack(quantize_blocks(values, name), name), library(values, name))


@pytest.mark.parametrize("name", FORMATS)
def test_ties_zeros_and_equal_blocks_are_the_librarys(name: str) -> None:
    grid = np.random.default_rng(6).integers(-254, 255, (3000, 32)).astype(np.float32) / 2
    special = np.zeros((4, 32), np.float32)
    special[1], special[2, 3], special[3] = 0.25, -1.0, -7.0
    values = np.concatenate([grid, special, -special])
    assert np.array_equal(pack(quantize_blocks(values, name), name), library(values, name))


def _scaled(value: float) -> float:
    """Below this a block's scale has no finite inverse, and the library casts infinities to integers."""
    return 0.0 if abs(value) < 1e-30 else value


@settings(max_examples=200, deadline=None)
@given(
    values=arrays(np.float32, (3, 32), elements=st.floats(-1e4, 1e4, width=32).map(_scaled)),
    name=st.sampled_from(FORMATS),
)
def test_any_finite_block_is_the_librarys(values: np.ndarray, name: str) -> None:
    assert np.array_equal(pack(quantize_blocks(values, name), name), library(values, name))


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_packed_is_unpacked(name: str) -> None:
    blocks = quantize_blocks(np.random.default_rng(7).normal(0, 1, (50, 32)).astype(np.float32), name)
    again = unpack(pack(blocks, name), name)
    assert np.array_equal(again.codes, blocks.codes)
    assert np.array_equal(again.scales, blocks.scales)


@pytest.mark.parametrize("name", FORMATS)
def test_dequantised_weights_quantise_to_the_same_bytes(name: str) -> None:
    values = np.random.default_rng(8).normal(0, 0.02, (2000, 32)).astype(np.float32)
    raw = pack(quantize_blocks(values, name), name)
    back = quants.dequantize(raw, Kind[name])
    again = pack(quantize_blocks(back, name), name)
    # The scale was rounded once: a second rounding finds it again but in few blocks.
    assert np.mean((again == raw).all(axis=1)) > 0.9


ONE, NONE = np.array([[0.5]], np.float32), np.zeros((1, 1), np.int16)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("divided, halves to even", [0, 2, 2, -2, -2, 127, -127, 0]),
        ("divided, halves away from zero", [1, 2, 3, -2, -3, 127, -127, 0]),
    ],
)
def test_halves_go_where_the_rule_says(rounding: str, expected: list[int]) -> None:
    values = np.array([[0.25, 0.75, 1.25, -0.75, -1.25, 70.0, -70.0, np.nan]], np.float32)
    found = code_integers(values, ONE, NONE, -127, 127, rounding)
    assert found.tolist() == [expected]


def test_a_zero_point_moves_codes_and_the_ends_stay() -> None:
    values = np.array([[0.0, 1.0, -100.0, 100.0]], np.float32)
    zeros = np.array([[128]], np.int16)
    assert code_integers(values, ONE, zeros, 0, 255, "divided, halves to even").tolist() == [
        [128, 130, 0, 255]
    ]


def test_a_quotient_in_bfloat16_differs_where_its_steps_are_coarse() -> None:
    # Between 64 and 128 bfloat16 has steps of a half: 101.4 becomes 101.5, and that 102.
    values, one = np.array([[101.4, 3.4]], np.float32), np.ones((1, 1), np.float32)
    assert code_integers(values, one, NONE, -127, 127, "divided, halves to even").tolist() == [[101, 3]]
    coarse = code_integers(values, one, NONE, -127, 127, "divided in bfloat16, halves to even")
    assert coarse.tolist() == [[102, 3]]


@pytest.mark.parametrize("dtype", [DType.F8_E4M3, DType.F8_E5M2])
def test_eight_bit_floats_round_to_nearest_under_their_scale_and_never_overflow(dtype: DType) -> None:
    rng = np.random.default_rng(9)
    top = magnitude_values(dtype)[-1]
    values = (rng.normal(0, 1, (20, 64)) * top / 3).astype(np.float32)
    scale = np.full((20, 1), 0.75, np.float32)
    for rounding in ROUNDINGS:
        bits = code_float8(values, scale, dtype, rounding)
        decoded = to_float64(bits.reshape(-1), dtype).reshape(values.shape)
        assert np.isfinite(decoded).all()
        assert np.abs(decoded).max() <= top
    exact = code_float8(values, scale, dtype, "divided, halves to even")
    quotient = np.clip(values.astype(np.float64) / 0.75, -top, top)
    assert np.array_equal(exact.reshape(-1), round_to(quotient.astype(np.float32).reshape(-1), dtype))
