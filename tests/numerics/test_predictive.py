"""E-values: under a null they hardly ever become large however often one looks; under the truth they do."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from parentage.numerics.deciding.predictive import LogEvidence, log_mean, majority, predictive_evidence
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
STAGES = (512, 1024, 2048)
LEVEL = 0.05
SPREAD = 0.02


def stored(values: Floats) -> Floats:
    return to_float64(round_to(values, DType.BF16), DType.BF16)


def world(
    kind: str, rng: np.random.Generator, *, change: float, rows: float = 0.0
) -> tuple[Floats, Floats]:
    """Two parents [2, n] a percent apart, and a suspect [n]; ``change`` in spreads of the weights, its size
    differing by ``rows`` (log scale) between rows of 128."""
    n = STAGES[-1]
    b = stored(SPREAD * rng.standard_normal(n))
    a = stored(b + 0.01 * SPREAD * rng.standard_normal(n))
    noise = rng.standard_normal(n) * np.repeat(np.exp(rows * rng.standard_normal(n // 128)), 128)
    blend = 0.6 * a + 0.4 * b
    start = {"stored": stored(blend), "free": blend, "one": a}[kind]
    return np.stack([a, b]), stored(start + change * SPREAD * noise)


def running(parents: Floats, c: Floats) -> Iterator[LogEvidence]:
    """After each look: fitted to all that was seen before it, tested on what is new."""
    cells = rounding_cells(round_to(c, DType.BF16), DType.BF16)
    total = LogEvidence()
    for before, upto in zip((STAGES[0] // 2, *STAGES), STAGES, strict=False):
        seen = slice(0, upto)
        new = np.arange(upto) >= before
        total += predictive_evidence(
            parents[:, seen], c[seen], cells.low[seen], cells.high[seen], new, dtype=DType.BF16
        )
        yield total


def largest(kind: str, field: str, runs: int, **options: float) -> list[float]:
    """The most that a log e-value reached, in each of ``runs`` worlds."""
    found = []
    for seed in range(runs):
        parents, c = world(kind, np.random.default_rng([seed, len(kind)]), **options)
        found.append(max(getattr(e, field) for e in running(parents, c)))
    return found


def check_null(kind: str, field: str, runs: int, **options: float) -> None:
    """P(sup E ≥ 1/a) ≤ a, judged by a binomial test at 1 %."""
    passed = sum(x >= math.log(1 / LEVEL) for x in largest(kind, field, runs, **options))
    assert passed <= binom.ppf(0.99, runs, LEVEL)


NULLS = [
    ("free", "for_blend", 1e-3, 0.0),
    ("free", "for_blend", 4e-3, 0.0),
    ("free", "for_blend", 2e-3, 0.7),
    ("one", "for_blend", 2e-3, 0.0),
    ("one", "for_blend", 2e-3, 0.7),
    ("one", "against_one", 2e-3, 0.0),
    ("stored", "for_free", 1e-3, 0.0),
    ("stored", "for_free", 4e-3, 0.7),
    ("one", "for_free", 2e-3, 0.0),
    ("stored", "for_one", 2e-3, 0.0),
    ("free", "for_one", 4e-3, 0.7),
]


@pytest.mark.parametrize(("kind", "field", "change", "rows"), NULLS)
def test_a_null_hardly_ever_gains_a_large_e_value(
    kind: str, field: str, change: float, rows: float
) -> None:
    check_null(kind, field, 6, change=change, rows=rows)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "field", "change", "rows"), NULLS)
def test_a_null_gains_a_large_e_value_no_more_often_than_the_level(
    kind: str, field: str, change: float, rows: float
) -> None:
    check_null(kind, field, 200, change=change, rows=rows)


@pytest.mark.parametrize(
    ("kind", "field", "change"),
    [
        ("stored", "for_blend", 1e-3),
        ("stored", "for_blend", 3e-3),
        ("stored", "against_one", 0.0),
        ("free", "for_free", 1e-3),
        ("free", "for_free", 3e-3),
        ("one", "for_one", 1e-3),
    ],
)
def test_the_truth_gains_one(kind: str, field: str, change: float) -> None:
    found = largest(kind, field, 6, change=change)
    assert min(found) >= math.log(4 / LEVEL)


def test_a_blend_without_change_is_no_evidence_against_the_same_blend_never_stored() -> None:
    """They are one and the same numbers."""
    parents, c = world("stored", np.random.default_rng(0), change=0.0)
    assert all(e.for_blend == e.for_free == e.for_one == 0.0 for e in running(parents, c))


def test_too_few_elements_are_no_evidence() -> None:
    parents, c = world("stored", np.random.default_rng(0), change=1e-3)
    cells = rounding_cells(round_to(c, DType.BF16), DType.BF16)
    new = np.arange(c.size) >= c.size - 20
    assert predictive_evidence(parents, c, cells.low, cells.high, new, dtype=DType.BF16) == LogEvidence()


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30))
def test_a_majority_is_no_surer_than_the_mean_and_no_less_than_the_least(logs: list[float]) -> None:
    assert min(logs) - 1e-9 <= majority(logs) <= log_mean(logs) + 1e-9


def test_a_majority_needs_a_majority() -> None:
    """Nine of twenty matrices as sure as can be say nothing of the other eleven."""
    assert majority([1e4] * 9 + [0.0] * 11) < 1.0
    assert majority([1e4] * 11 + [0.0] * 9) > 1e3
    assert majority([]) == 0.0


def test_a_majority_is_an_e_value_whatever_the_dependence() -> None:
    """Twenty copies of one e-value under its null: a coin's (0 or 2)."""
    rng = np.random.default_rng(1)
    found = [
        math.exp(majority([math.log(2) if heads else -700.0] * 20)) for heads in rng.random(4000) < 0.5
    ]
    assert np.mean(found) <= 1.05
