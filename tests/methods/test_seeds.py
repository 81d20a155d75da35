"""Seeds are found from few elements, and where none fits none is named."""

from __future__ import annotations

import numpy as np
import pytest

from parentage.methods.draws import TorchDraws
from parentage.methods.estimates.seeds import Draw, seed_of, seeds_within

PLACES = np.arange(1, 180, 2)


def known(seed: int, probability: float, *, off: float = 0.0) -> Draw:
    """What a mask of ``seed`` tells where the probability is known to ``off``."""
    kept = TorchDraws(seed, 0, 0).uniform(0, 0, 180)[PLACES] < np.float32(probability)
    return Draw.of(PLACES, kept, probability - off, probability + off)


@pytest.mark.parametrize(("seed", "probability"), [(0, 0.5), (42, 0.9), (262_143, 0.2)])
def test_one_seed_of_many_fits(seed: int, probability: float) -> None:
    assert seed_of(known(seed, probability, off=0.01), 1 << 18) == seed


def test_seeds_are_those_of_32_bits() -> None:
    high = 0xFFFFFF85
    found = known(high, 0.5)
    assert found.bits == pytest.approx(PLACES.size, abs=0.1)
    assert seeds_within(found, high - 300, 1000 - 699) == [high]
    assert found.holds(high + (1 << 32))


def test_a_mask_of_no_seed_is_given_none() -> None:
    kept = np.random.default_rng(9).random(PLACES.size) < 0.5
    assert seeds_within(Draw.of(PLACES, kept, 0.5, 0.5), 0, 1 << 16) == []


def test_too_little_known_names_no_seed() -> None:
    kept = TorchDraws(7, 0, 0).uniform(0, 0, 180)[PLACES] < np.float32(0.5)
    some = Draw.of(PLACES[:15], kept[:15], 0.5, 0.5)
    assert len(seeds_within(some, 0, 1 << 18)) > 4
    assert seed_of(some, 1 << 18) is None
    # Every few thousandth seed would have to be tried as a whole: none is.
    assert seeds_within(some.head(6), 0, 1 << 18) == []
