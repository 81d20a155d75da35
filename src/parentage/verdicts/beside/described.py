"""What stands beside a verdict and decides nothing: merge tests, distances by part, curves, ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.findings import (
    NOT_MEASURED,
    ConsistencyCurve,
    ControlCurve,
    LeastSquares,
    MergeTest,
    PartDifference,
    QuietRows,
    Spectrum,
)
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.blends.blend_tests import passes_later_change
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.linear_merge import tried

__all__ = [
    "consistency_curve",
    "differences",
    "dtypes",
    "least_squares",
    "merge_tests",
    "offset_histogram",
    "quiet_rows",
    "spectra",
]

OFFSET_RANGE = 8


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


def consistency_curve(readings: Readings) -> ConsistencyCurve | Absent:
    """For each weight of the first parent, the share of informative elements that it explains."""
    pair = readings.pair
    sweeps = {s.subject: s for s in readings.evidence.sweeps if (s.first, s.second) == pair and s.curve}
    if pair is None or 0 not in sweeps or not sweeps[0].informative:
        return Absent("no pair of parents was swept")

    def shares(subject: int) -> tuple[float, ...]:
        sweep = sweeps[subject]
        return tuple(n / max(sweep.informative, 1) for n in sweep.curve)

    return ConsistencyCurve(
        first=readings.name(pair[0]),
        second=readings.name(pair[1]),
        grid=readings.evidence.curve_grid,
        suspect=shares(0),
        controls=tuple(ControlCurve(readings.name(i), shares(i)) for i in readings.controls if i in sweeps),
    )


def offset_histogram(readings: Readings) -> dict[str, int] | Absent:
    """How far elements lie off the replay, in units of the last place."""
    if readings.replay is None:
        return Absent("nothing was replayed")
    total: Counter[int] = Counter()
    for tensor in readings.replay.tensors:
        for k, count in enumerate(tensor.offsets):
            total[k - OFFSET_RANGE] += count
    return {str(k): total[k] for k in range(-OFFSET_RANGE, OFFSET_RANGE + 1)}


def least_squares(readings: Readings) -> tuple[LeastSquares, ...] | Absent:
    """What least squares would read on each tensor: descriptive, biased by storage rounding."""
    pair = readings.pair
    if pair is None:
        return Absent("no pair of parents")
    found = []
    for tensor in readings.evidence.tensors:
        m = readings.mixture(tensor, 0, pair)
        if m is not None and not isinstance(m.least_squares, Absent):
            found.append(LeastSquares(tensor.name, m.least_squares, m.cosine))
    return tuple(found)


def quiet_rows(readings: Readings) -> tuple[QuietRows, ...] | Absent:
    """Embedding rows that only weight decay moved."""
    if not readings.evidence.quiet_rows:
        return Absent("no embedding row was moved by weight decay alone")
    return tuple(
        QuietRows(
            parent=readings.name(q.model),
            tensor=q.tensor,
            rows=q.rows,
            quiet_rows=q.quiet,
            exact_rows=q.exact_rows,
            schedule=q.schedule,
            steps=q.steps,
            learning_rate=q.learning_rate,
            weight_decay=q.weight_decay,
        )
        for q in readings.evidence.quiet_rows
    )


def spectra(readings: Readings) -> tuple[Spectrum, ...] | Absent:
    """Stable ranks of the differences to each model."""
    found = tuple(
        Spectrum(t.name, readings.name(s.model), s.stable_rank, s.rows, s.columns)
        for t in readings.evidence.tensors
        for s in t.spectra
    )
    return found or Absent("no matrix was small enough to take its spectrum")
