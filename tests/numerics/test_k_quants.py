"""K-quants taken apart are the numbers that the format's own library makes of any bytes."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.numerics.storage.k_quants import K_QUANTS, code_k_blocks, unpack_k_blocks


@pytest.mark.parametrize("format_", K_QUANTS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_bytes_stand_for_the_numbers_that_the_library_reads(format_: str, seed: int) -> None:
    kind = K_QUANTS[format_]
    raw = np.random.default_rng(seed).integers(0, 256, (4, kind.nbytes)).astype(np.uint8)
    blocks = unpack_k_blocks(raw, format_)
    with np.errstate(all="ignore"):
        found = (blocks.codes.astype(np.float32) - kind.offset) * blocks.step - blocks.least
        expected = dequantize(raw, Kind[format_]).reshape(-1)
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize("format_", K_QUANTS)
def test_a_number_gets_the_code_whose_number_is_nearest(format_: str) -> None:
    kind = K_QUANTS[format_]
    raw = np.random.default_rng(3).integers(0, 256, (6, kind.nbytes)).astype(np.uint8)
    halves = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}[format_]
    for at in halves:
        raw[:, at : at + 2] = np.full((6, 1), 0.001, np.float16).view(np.uint8)
    blocks = unpack_k_blocks(raw, format_)
    values = np.random.default_rng(4).normal(0, 0.05, blocks.codes.size).astype(np.float32)
    coded = code_k_blocks(values, blocks, format_)
    levels = np.arange(kind.levels)[:, None]
    numbers = (levels - kind.offset) * blocks.step.astype(np.float64) - blocks.least
    away = np.abs(numbers - values)
    chosen = away[coded, np.arange(values.size)]
    full = blocks.step != 0
    assert full.any()
    assert (chosen[full] <= away.min(axis=0)[full] + 1e-6).all()
    assert (coded[~full] == blocks.codes[~full]).all()
