"""Findings that a page sums up: stable ranks by component, least squares, what was not measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from parentage.records.absence import Absent
from parentage.records.findings import LeastSquares, Spectrum, Stratum
from parentage.records.report import Report
from parentage.reports.stacks import column_of, column_rank

__all__ = ["Biased", "RankRow", "biased", "loosest", "ranks", "unmeasured"]


@dataclass(frozen=True, slots=True)
class RankRow:
    """Stable ranks of the differences to one model, over the matrices of one component."""

    model: str
    component: str
    matrices: int
    low: float
    middle: float
    high: float
    full: int


@dataclass(frozen=True, slots=True)
class Biased:
    """Least squares over the tensors: lowest, middle and highest reading."""

    low: float
    middle: float
    high: float
    tensors: int


def ranks(report: Report) -> tuple[RankRow, ...]:
    """By model and component; ``full`` is the largest rank that its matrices could have."""
    if isinstance(report.spectrum, Absent):
        return ()
    columns = {t.name: column_of(t) for t in report.tensors}
    groups: dict[tuple[str, str], list[Spectrum]] = {}
    for found in report.spectrum:
        groups.setdefault((found.model, columns.get(found.tensor, "other")), []).append(found)
    ordered = sorted(groups.items(), key=lambda g: (g[0][0], column_rank(g[0][1])))
    return tuple(_rank_row(model, component, found) for (model, component), found in ordered)


def _rank_row(model: str, component: str, found: Sequence[Spectrum]) -> RankRow:
    values = [s.stable_rank for s in found]
    full = max(min(s.rows, s.columns) for s in found)
    return RankRow(model, component, len(found), min(values), median(values), max(values), full)


def biased(found: Sequence[LeastSquares] | Absent) -> Biased | Absent:
    """What least squares would have read, from the lowest to the highest tensor."""
    if isinstance(found, Absent):
        return found
    weights = [read.weight for read in found if math.isfinite(read.weight)]
    if not weights:
        return Absent("no tensor was read by least squares")
    return Biased(min(weights), median(weights), max(weights), len(weights))


def loosest(strata: Sequence[Stratum] | Absent) -> Stratum | Absent:
    """The part of the model in which most could have been changed unseen."""
    if isinstance(strata, Absent) or not strata:
        return Absent("no part was bounded")
    return max(strata, key=lambda s: s.upper)


def unmeasured(report: Report) -> tuple[tuple[str, str], ...]:
    """Findings that this report does not have, and why: name and reason."""
    findings: tuple[tuple[str, object], ...] = (
        ("consistency over the weight", report.consistency_curve),
        ("a replay of the recipe", report.replay),
        ("distance from the replay", report.offset_histogram),
        ("how the weight varies over the model", report.heterogeneity),
        ("the test for a stored merge", report.merge_tests),
        ("a bound on later change by part", report.strata),
        ("size of the difference by part", report.differences),
        ("rank of the differences", report.spectrum),
        ("rows that training left alone", report.quiet_rows),
        ("a family tree", report.tree),
        ("recipes weighed against each other", report.recipe_candidates),
        ("least squares, for comparison", report.least_squares),
    )
    return tuple((name, value.reason) for name, value in findings if isinstance(value, Absent))
