"""The size of a later change by moments: right for every distribution, silent where it cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.numerics.likelihoods.likelihood import fit_scale
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import quantize, round_to, to_float64
from parentage.numerics.training.change_size import ChangeSize, change_size, size_around_blend
from parentage.records.dtypes import DType

SHAPE = (130, 190)


def _measured(
    noise: np.ndarray, *, dtype: DType = DType.BF16, scale: float | None = None, seed: int = 0
) -> tuple[ChangeSize | None, float]:
    """The size read around a stored matrix of spread .02, and the likelihood's scale."""
    r = quantize(np.random.default_rng(seed).normal(size=noise.size) * 0.02, dtype)
    bits = round_to(r + noise.ravel(), dtype)
    c, cells = to_float64(bits, dtype), rounding_cells(bits, dtype)
    found = fit_scale(c, r, cells.low, cells.high).scale
    rows = np.repeat(np.arange(noise.shape[0], dtype=np.int32), noise.shape[1])
    size = change_size(
        c, r, cells.low, cells.high, dtype=dtype, scale=found if scale is None else scale, rows=rows
    )
    return size, found


def _noise(kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind == "t3":
        return rng.standard_t(3, size=SHAPE)
    if kind == "rows":
        return rng.normal(size=SHAPE) * rng.lognormal(0.0, 0.7, size=(SHAPE[0], 1))
    if kind == "low-rank":
        return rng.normal(size=(SHAPE[0], 4)) @ rng.normal(size=(4, SHAPE[1])) / 2.0
    return rng.normal(size=SHAPE)


@pytest.mark.parametrize("dtype", [DType.BF16, DType.F16, DType.F32])
@pytest.mark.parametrize("kind", ["dense", "t3", "rows", "low-rank"])
@pytest.mark.parametrize("sigma", [1e-3, 1e-2])
def test_reads_the_size_of_every_kind_of_change(kind: str, sigma: float, dtype: DType) -> None:
    noise = 0.02 * sigma * _noise(kind, np.random.default_rng(7))
    found, _ = _measured(noise, dtype=dtype)
    truth = float(np.sqrt(np.mean(noise**2)))
    assert found is not None
    assert abs(found.rms - truth) <= 0.1 * truth
    assert abs(found.rms - truth) <= 3.0 * found.error + 0.02 * truth


def test_a_heavy_tailed_change_is_twice_its_likelihoods_scale() -> None:
    noise = 0.02 * 3e-3 * _noise("t3", np.random.default_rng(1))
    found, scale = _measured(noise)
    assert found is not None
    assert 1.5 <= found.rms / scale <= 2.5


def test_rows_that_deviate_together_widen_the_error() -> None:
    rng = np.random.default_rng(3)
    together, _ = _measured(0.02 * 1e-2 * _noise("rows", rng))
    alone, _ = _measured(0.02 * 1e-2 * _noise("dense", rng))
    assert together is not None
    assert alone is not None
    assert together.error / together.rms > 3.0 * alone.error / alone.rms


def test_elements_whose_steps_are_coarser_than_the_change_say_nothing() -> None:
    values = np.full((1, 200), 0.5)
    tiny = 1e-6 * np.random.default_rng(0).normal(size=values.shape)
    bits = round_to((values + tiny).ravel(), DType.BF16)
    cells = rounding_cells(bits, DType.BF16)
    c, r = to_float64(bits, DType.BF16), quantize(values.ravel(), DType.BF16)
    assert change_size(c, r, cells.low, cells.high, dtype=DType.BF16, scale=1e-6) is None


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_no_change_has_no_size(scale: float) -> None:
    assert _measured(np.zeros(SHAPE), scale=scale)[0] is None


def test_few_whole_steps_are_no_size_that_moments_can_tell() -> None:
    rng = np.random.default_rng(5)
    r = quantize(rng.normal(size=4_000) * 0.02, DType.BF16)
    moved = np.where(rng.random(r.size) < 0.01, np.nextafter(r.astype(np.float32), 1).astype(float), r)
    bits = round_to(moved, DType.BF16)
    cells = rounding_cells(bits, DType.BF16)
    c = to_float64(bits, DType.BF16)
    assert change_size(c, r, cells.low, cells.high, dtype=DType.BF16, scale=1e-5) is None


@settings(max_examples=40, deadline=None)
@given(start=st.floats(-1.5, 1.5), seed=st.integers(0, 2**16))
def test_the_size_does_not_depend_on_where_the_search_starts(start: float, seed: int) -> None:
    # A stream of its own: that of the weights would make the change a multiple of them.
    noise = 0.02 * 3e-3 * np.random.default_rng([seed, 1]).normal(size=SHAPE)
    first, scale = _measured(noise, seed=seed)
    other, _ = _measured(noise, scale=scale * 2.0**start, seed=seed)
    assert first is not None
    assert other is not None
    assert abs(other.rms - first.rms) <= 0.03 * first.rms
    assert abs(first.rms - 0.02 * 3e-3) <= 0.1 * 0.02 * 3e-3


def test_the_order_of_sums_decides_ties() -> None:
    """.5 : .3 : .2 of parents that are a step apart: each order rounds some exact ties another way."""
    rng = np.random.default_rng(2)
    base = quantize(rng.normal(size=20_000) * 0.02, DType.BF16)
    steps = np.spacing(base.astype(np.float32)).astype(float) * 2**16
    parents = np.stack([base, base + steps * rng.integers(0, 2, base.size), base])
    weights = np.array([0.3, 0.5, 0.2])
    found = []
    for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        total = np.zeros(base.size, np.float32)
        for j in order:
            total = total + np.float32(weights[j]) * parents[j].astype(np.float32)
        bits = round_to(total.astype(float) + 1e-4 * rng.normal(size=base.size), DType.BF16)
        size = size_around_blend(
            parents[order],
            weights[order],
            to_float64(bits, DType.BF16),
            rounding_cells(bits, DType.BF16),
            dtype=DType.BF16,
            scale=1e-4,
            rows=np.zeros(base.size, np.int32),
        )
        assert size is not None
        found.append(size.rms)
    assert all(abs(x - 1e-4) <= 5e-6 for x in found)
