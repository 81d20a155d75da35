"""Findings that stand beside a verdict and decide nothing: merge tests, distances by part."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.findings import MergeTest, PartDifference
from parentage.records.report import NOT_MEASURED
from parentage.verdicts.blend_tests import passes_later_change
from parentage.verdicts.linear_merge import tried
from parentage.verdicts.readings import Readings
from parentage.verdicts.tensors import TensorReading

__all__ = ["differences", "dtypes", "merge_tests"]


def merge_tests(readings: Readings, tensors: Sequence[TensorReading]) -> tuple[MergeTest, ...] | Absent:
    """How many eligible matrices pass the rule for a merge with later change: suspect, then controls."""
    if readings.pair is None and not readings.blended:
        return Absent("no pair of parents was compared")
    names = {t.tensor.name for t in tensors if t.eligible}
    found = []
    for model in (0, *readings.controls):
        rows = [tried(readings, t, model) for t in readings.matrices if t.name in names]
        judged = [row.comparison for row in rows if row and not isinstance(row.comparison, Absent)]
        if judged:
            name = "the suspect" if model == 0 else readings.name(model)
            passed = sum(passes_later_change(c) for c in judged)
            found.append(MergeTest(name, len(judged), passed, sum(c.delta_ll for c in judged)))
    if not found or found[0].name != "the suspect":
        return Absent("no matrix of the suspect was compared under both likelihoods")
    return tuple(found)


def differences(readings: Readings, models: Sequence[int]) -> tuple[PartDifference, ...] | Absent:
    """Root mean square of the difference to each model over the weights' spread, by layer and component."""
    found: list[PartDifference] = []
    for model in models:
        sums: dict[tuple[int, str], list[float]] = {}
        for t in readings.evidence.tensors:
            if model not in t.present or not t.finite or t.spread <= 0:
                continue
            row = sums.setdefault(
                (-1 if isinstance(t.layer, Absent) else t.layer, t.component), [0.0, 0.0, 0]
            )
            row[0] += t.gram[model - 1][model - 1]
            row[1] += t.finite * t.spread**2
            row[2] += t.finite
        found += [
            PartDifference(
                readings.name(model),
                Absent("outside the stack of layers") if layer < 0 else layer,
                component,
                (squares / spreads) ** 0.5,
                int(count),
            )
            for (layer, component), (squares, spreads, count) in sorted(sums.items())
        ]
    return tuple(found) or NOT_MEASURED


def dtypes(readings: Readings, model: int) -> tuple[str, ...] | Absent:
    """The number formats that a model's tensors are stored in."""
    names = {t.dtypes[model] for t in readings.evidence.tensors if model == 0 or model in t.present}
    return tuple(sorted(names)) or NOT_MEASURED
