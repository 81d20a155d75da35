"""One weight from several matrices: its interval holds it, and is no wider than theirs together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parentage.verdicts.blends.post_training import _pooled, _wide_enough

weights = st.floats(0.05, 0.95)
reads = st.lists(
    st.tuples(weights, weights, weights).map(lambda t: (t[0], min(t[1:]), max(t[1:]))), min_size=1
)


@given(reads)
def test_the_interval_holds_the_estimate(found: list[tuple[float, float, float]]) -> None:
    """Scales that differ by row may put a matrix's interval beside its weight."""
    pooled = _pooled([_wide_enough(*read) for read in found])
    assert pooled.low <= pooled.estimate + 1e-12
    assert pooled.estimate - 1e-12 <= pooled.high


def test_two_matrices_say_no_less_than_their_own_intervals() -> None:
    pooled = _pooled([_wide_enough(0.30, 0.20, 0.31), _wide_enough(0.20, 0.19, 0.30)])
    assert (pooled.low, pooled.high) == (0.19, 0.31)
