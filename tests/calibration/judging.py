"""Error rates from outcomes, judged by binomial tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scipy import special

from parentage.numerics.shares.intervals_binomial import clopper_pearson
from tests.calibration.outcomes import Outcome, false_events

__all__ = [
    "COVERED_AT_LEAST",
    "COVERED_AT_MOST",
    "LIKELIHOOD_ROWS",
    "Rate",
    "coverage",
    "false_rate",
    "feasible_coverage",
    "interval_rows",
]

COVERED_AT_LEAST, COVERED_AT_MOST = 0.90, 0.98
# A coverage outside the band is called so when it would be this unlikely inside.
SIGNIFICANCE = 0.01
LIKELIHOOD_ROWS = "likelihood"


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` of ``n``."""

    count: int
    n: int

    @property
    def share(self) -> float:
        """The share observed; 0 of none is 0."""
        return self.count / self.n if self.n else 0.0

    @property
    def upper(self) -> float:
        """One-sided 95 % bound (Clopper & Pearson; with none seen about 3/n)."""
        return clopper_pearson(self.count, self.n, level=0.90)[1]

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided 95 % interval."""
        return clopper_pearson(self.count, self.n, level=0.95)

    def below(self, floor: float) -> bool:
        """So few would be this unlikely at a true share of ``floor``."""
        return self.n > 0 and float(special.bdtr(self.count, self.n, floor)) < SIGNIFICANCE

    def above(self, ceiling: float) -> bool:
        """So many would be this unlikely at a true share of ``ceiling``."""
        return self.n > 0 and float(special.bdtrc(self.count - 1, self.n, ceiling)) < SIGNIFICANCE


def false_rate(outcomes: Iterable[Outcome], events: Sequence[str]) -> Rate:
    """How many outcomes hold one of these false events."""
    found = [bool(set(events) & set(false_events(o))) for o in outcomes]
    return Rate(sum(found), len(found))


def interval_rows(
    outcomes: Iterable[Outcome], basis: str, wanted: Callable[[Outcome], bool] = lambda _: True
) -> list[Outcome]:
    """The rows of matrices whose interval rests on ``basis`` (``likelihood`` or ``feasible``)."""
    return [
        row
        for o in outcomes
        for row in o["tensors"]
        if row["basis"] == basis and (row["matrix"] or basis == "feasible") and wanted(row)
    ]


def _holds(row: Outcome) -> bool:
    # An interval printed to the last digit may miss the recipe's decimal by the decimal's own rounding.
    return bool(row["low"] - 1e-9 <= row["alpha"] <= row["high"] + 1e-9)


def coverage(rows: Sequence[Outcome]) -> Rate:
    """How many intervals hold the planted weight."""
    return Rate(sum(_holds(r) for r in rows), len(rows))


def feasible_coverage(outcomes: Iterable[Outcome]) -> Rate:
    """Feasible sets of pure merges that hold the planted weight, in vectors too."""
    return coverage(interval_rows(outcomes, "feasible"))
