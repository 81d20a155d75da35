"""The full pass's counts by torch are those of compiled code, bit for bit, on any bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.methods.linear import ARITHMETICS, arithmetic
from parentage.methods.linear_device import DeviceStream
from parentage.methods.linear_stream import LinearStream
from parentage.numerics.storage.formats import to_float32
from parentage.numerics.streaming.replay_kernels import BLOCK
from parentage.records.dtypes import DType
from tests.methods.strategies import FLOATS, WEIGHTS, any_bits, bits
from tests.methods.test_linear_stream import planted, rows

pytest.importorskip("torch")
NAMES = [a.id for a in ARITHMETICS]


def both(stream: LinearStream, models: list[np.ndarray]) -> tuple[list[int], list[int]]:
    raw, size = rows(models), models[0].size
    return stream.count(raw, size).tolist(), DeviceStream(stream, "cpu").count(raw, size).tolist()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_bits_under_any_weights_are_counted_alike(name: str, data: st.DataObject) -> None:
    count = 2 if arithmetic(name).two_only else data.draw(st.integers(1, 6))
    size = data.draw(st.integers(1, 8))
    stored = tuple(data.draw(st.lists(st.sampled_from(FLOATS), min_size=count + 1, max_size=count + 1)))
    weights = tuple(data.draw(st.lists(WEIGHTS, min_size=count, max_size=count)))
    cast = data.draw(st.sampled_from([None, DType.BF16, DType.F16]))
    stream = LinearStream(arithmetic(name), weights, stored, stored[0], cast)
    models = [data.draw(bits(d, size)) for d in stored]
    parents = [to_float32(b, d) for b, d in zip(models[1:], stored[1:], strict=True)]
    if data.draw(st.booleans()):
        blend = stream.arithmetic.apply(weights, parents, out_dtype=stored[0])
        models[0] = np.where(data.draw(bits(DType.F32, size)) % 3 > 0, blend, models[0])
    compiled, on_device = both(stream, models)
    assert compiled == on_device


@pytest.mark.parametrize("stored", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_many_bits_are_counted_alike(name: str, stored: DType) -> None:
    rng = np.random.default_rng(4)
    for trial in range(6):
        count = 2 if arithmetic(name).two_only else (1, 2, 3, 4, 6, 8)[trial]
        dtypes = (stored, *(FLOATS[k] for k in rng.integers(0, 3, count)))
        cast = (None, DType.BF16, DType.F16)[trial % 3]
        weights = tuple(rng.uniform(-1, 2, count).tolist())
        models = [any_bits(rng, d, 8 * BLOCK + 100) for d in dtypes]
        compiled, on_device = both(LinearStream(arithmetic(name), weights, dtypes, stored, cast), models)
        assert compiled == on_device


@pytest.mark.parametrize("stored", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_merge_of_the_recipe_matches_in_every_element(name: str, stored: DType) -> None:
    stream, models = planted(name, stored, stored, (0.6, 0.4), 40_000)
    models[0][::7] ^= 1
    compiled, on_device = both(stream, models)
    assert compiled == on_device
    assert on_device[1] >= 40_000 * 6 // 7 - 1
