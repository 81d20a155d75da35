"""Tables of scores: made on the line, made by improvement, and neither."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parentage.numerics.published.score_lines import binomial_error, fit_line


def world(seed: int, how: str, n: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    second = rng.uniform(30, 80, n)
    first = second + rng.normal(2, 8, n)
    errors = np.full(n, 0.8)
    mean = {"line": 0.6 * first + 0.4 * second, "improvement": second + 4 + rng.normal(0, 1.0, n)}[how]
    return {
        "suspect": mean + rng.normal(0, errors),
        "first": first + rng.normal(0, errors),
        "second": second + rng.normal(0, errors),
        "errors": errors,
    }


def test_tables_made_on_the_line_are_told_from_tables_made_by_improvement() -> None:
    on_line = [fit_line(**world(k, "line")).log_ratio for k in range(20)]
    improved = [fit_line(**world(k, "improvement")).log_ratio for k in range(20)]
    assert sum(r > 2 for r in on_line) >= 19
    assert sum(r < -2 for r in improved) >= 18


def test_the_interval_of_the_weight_covers_the_truth() -> None:
    fits = [fit_line(**world(k, "line")) for k in range(40)]
    covered = sum(f.low <= 0.6 <= f.high for f in fits)
    # 95 % is meant; scores of the parents carry errors too, and the profile counts them.
    assert covered >= 34


def test_units_do_not_move_the_ratio() -> None:
    table = world(3, "line")
    shares = {key: value / 100 for key, value in table.items()}
    assert fit_line(**shares).log_ratio == pytest.approx(fit_line(**table).log_ratio, abs=1e-6)
    assert fit_line(**shares).weight == fit_line(**table).weight


def test_the_error_of_a_percentage_is_binomial() -> None:
    assert binomial_error(50.0, 100) == pytest.approx(5.0)
    assert binomial_error(100.0, 100) == pytest.approx(100 * math.sqrt(0.005 * 0.995 / 100))


@pytest.mark.parametrize("n", [1, 2])
def test_two_scores_are_no_table(n: int) -> None:
    table = {key: value[:n] for key, value in world(1, "line").items()}
    with pytest.raises(ValueError, match="three"):
        fit_line(**table)


def test_models_with_the_same_scores_make_no_line() -> None:
    table = world(1, "line")
    table["first"] = table["second"]
    with pytest.raises(ValueError, match="differ"):
        fit_line(**table)
