"""docs/numerics.md says what the code does: its blocks run, and the formulae it prints are evaluated."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.numerics.feasible import interval
from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType

PAGE = Path(__file__).resolve().parents[2] / "docs" / "numerics.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_block_of_the_page_runs_and_its_assertions_hold() -> None:
    assert len(BLOCKS) >= 8
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS, 1):
        assert "assert" in block, f"block {number} shows nothing"
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)


def test_every_module_that_the_page_names_exists() -> None:
    source = PAGE.parents[1] / "src" / "parentage"
    for name in re.findall(r"`([a-z_/0-9]+\.py)`", PAGE.read_text(encoding="utf-8")):
        places = [source / name, source / "numerics" / name]
        assert any(p.exists() for p in places), name


def test_every_page_that_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / target).exists(), target


def tolerance(alpha: float, a: float, b: float, c: float) -> float:
    """e(alpha) of section 2, as printed."""
    first, second = abs(alpha * a), abs((1 - alpha) * b)
    sums = 2 * first + 2 * second + abs(alpha * b)
    lerps = 3 * (abs(alpha) + abs(1 - alpha)) * abs(a - b)
    division = (3 + abs(alpha) + abs(1 - alpha)) * abs(c)
    return 2.0**-24 * (1 + 2.0**-20) * (max(sums, lerps) + division) + 2.0**-148


@settings(max_examples=200, deadline=None)
@given(
    a=st.floats(-1, 1, width=32).filter(lambda x: abs(x) > 1e-3),
    b=st.floats(-1, 1, width=32).filter(lambda x: abs(x) > 1e-3),
    alpha=st.floats(-2, 3),
)
def test_intervals_are_as_wide_as_the_printed_tolerance(a: float, b: float, alpha: float) -> None:
    if abs(a - b) < 1e-3:
        return
    blend = alpha * a + (1 - alpha) * b
    low, high = np.array([blend - 1e-3]), np.array([blend + 1e-3])
    start, stop = interval.alpha_intervals(np.array([a]), np.array([b]), low, high)
    ends = sorted([(low[0] - b) / (a - b), (high[0] - b) / (a - b)])
    largest = max(abs(low[0]), abs(high[0]))
    for bare, widened in ((ends[0], float(start[0])), (ends[1], float(stop[0]))):
        printed = tolerance(bare, a, b, largest) / abs(a - b)
        slack = 2.0**-50 * abs(bare) + 1e-15
        # The limit of the series: a little more than its first term, never less.
        assert printed * (1 - 1e-6) - slack <= abs(widened - bare) <= printed * (1 + 1e-2) + slack


@pytest.mark.parametrize("relative", [0.003, 0.01])
def test_least_squares_errs_as_section_ten_says_on_data(relative: float) -> None:
    rng = np.random.default_rng(0)
    b = quantize(0.02 * rng.standard_normal(200_000), DType.BF16)
    a = quantize(b + 0.02 * relative * rng.standard_normal(b.size), DType.BF16)
    c = quantize(0.6 * a + 0.4 * b, DType.BF16)
    reads = float((c - b) @ (a - b) / ((a - b) @ (a - b)))
    assert reads == pytest.approx({0.003: 0.816, 0.01: 0.638}[relative], abs=5e-3)
