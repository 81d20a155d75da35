"""No chunk size, order or repetition moves a bit of any method's outcome."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.linear import ARITHMETICS
from parentage.methods.method import ONE_ARITHMETIC, Method, Parameters, Profile
from parentage.methods.registry import method, names
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged
from tests.methods.recipes import parameters

SHAPES = [(1,), (7,), (130,), (3, 5), (40, 33), (2, 3, 40), (5, 64)]
DTYPES = (DType.BF16, DType.F16, DType.F32)


def _operands(seed: int, models: int, shape: tuple[int, ...], coarse: bool) -> NDArray[np.float32]:
    """Relatives of one random tensor; coarse ones hold many equal numbers and zeros."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(shape)
    found = np.stack([base] + [base + rng.standard_normal(shape) * 0.05 for _ in range(models - 1)])
    return (np.round(found * 8) / 8 if coarse else found).astype(np.float32)


@st.composite
def _merges(draw: st.DrawFn, name: str) -> tuple[Method, ArrayReader, Parameters, Profile]:
    found = method(name)
    least, most = found.models
    based = found.base == "required" or (found.base == "optional" and draw(st.booleans()))
    least, most = max(least, found.others[0] + based), min(most, found.others[1] + based)
    models = draw(st.integers(least, min(most, max(least, 6))))
    base = models - 1 if based else None
    # Of a single number TIES under mergekit 0.1.4 would keep nothing, and is refused.
    shape = draw(st.sampled_from(SHAPES[1:] if name == "ties" else SHAPES))
    values = _operands(draw(st.integers(0, 10**6)), models, shape, draw(st.booleans()))
    # Some arithmetics are written for two models only.
    pairs_only = () if models == 2 else tuple(f"{ONE_ARITHMETIC}{a.id}" for a in ARITHMETICS if a.two_only)
    profile = Profile(
        draw(st.sampled_from([p for p in found.profiles if p not in pairs_only])),
        draw(st.sampled_from(DTYPES)),
        draw(st.sampled_from(DTYPES)),
    )
    return found, ArrayReader(values, DType.F32, base), draw(parameters(found, models, base)), profile


@contextmanager
def _directions_that_cancel_left_out() -> Iterator[None]:
    """A tool's spherical mean of models that did not move does not exist."""
    try:
        yield
    except UsageError as error:
        if error.code != "directions-cancel":
            raise
        reject()


# Those that take more than operands and numbers have tests of their own.
NAMES = [n for n in names() if n not in ("lora", "abliteration") and not method(n).adapters]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_chunks_of_any_size_give_the_same_bits(name: str, data: st.DataObject) -> None:
    found, reader, recipe, profile = data.draw(_merges(name))
    with _directions_that_cancel_left_out():
        whole = merged(found, reader, recipe, profile)
    size = data.draw(st.integers(1, 100))
    assert np.array_equal(whole, merged(found, replace(reader, size=size), recipe, profile))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_chunks_may_be_applied_in_any_order(name: str, data: st.DataObject) -> None:
    found, reader, recipe, profile = data.draw(_merges(name))
    with _directions_that_cancel_left_out():
        rule = found.prepare(reader, recipe, profile, "t")
    cut: list[tuple[int, Any]] = list(replace(reader, size=50).chunks(rule.granularity > 1))
    forwards = [rule.apply(start, values) for start, values in cut]
    backwards = [rule.apply(start, values) for start, values in reversed(cut)]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", [n for n in names() if n.startswith(("dare", "della"))])
def test_our_draws_depend_on_the_seed_and_the_tensor_and_a_tools_on_what_was_drawn_before(
    name: str,
) -> None:
    found = method(name)
    reader = ArrayReader(_operands(1, 2, (40, 40), False), DType.F32, 0)
    row: Any = {"weight": 1.0, "density": 0.5}

    def bits(profile: str, seed: int, drawn: int, tensor: str) -> bytes:
        recipe = Parameters(({}, row), {}, seed, drawn)
        return merged(found, reader, recipe, Profile(profile, DType.F32, DType.F32), tensor).tobytes()

    assert bits("parentage-1", 1, 0, "a") == bits("parentage-1", 1, 99, "a")
    assert bits("parentage-1", 1, 0, "a") != bits("parentage-1", 2, 0, "a")
    assert bits("parentage-1", 1, 0, "a") != bits("parentage-1", 1, 0, "b")
    assert bits("mergekit-0.1.5", 1, 0, "a") == bits("mergekit-0.1.5", 1, 0, "b")
    assert bits("mergekit-0.1.5", 1, 0, "a") != bits("mergekit-0.1.5", 1, 7, "a")
