"""``linear-merge``: the suspect is a weighted sum of its parents, with or without later change."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.evidence import Comparison
from parentage.verdicts.readings import ELIGIBLE_INFORMATIVE, Readings
from parentage.verdicts.tensors import TensorReading, passes_later_change
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["control_pass_share", "weigh_linear_merge"]

# At least this share of the eligible tensors must be a blend on their own.
CARRYING_SHARE = 0.5
# No control may pass in more than this share of its tensors.
CONTROL_SHARE = 0.05


def weigh_linear_merge(readings: Readings, tensors: Sequence[TensorReading]) -> Weighing | None:
    """None when no two parents could be tried; else supported or undetermined, never contradicted
    (only a stated claim can be contradicted)."""
    eligible = [t for t in tensors if t.eligible]
    judged = [t for t in eligible if t.kind not in ("copy", "cast-copy", "shared")]
    blends = [t for t in judged if t.kind in ("exact", "blend", "changed")]
    if readings.pair is None and readings.replay is None:
        return None
    against = _objection(readings, judged, blends)
    if against:
        return Weighing("linear-merge", Status.UNDETERMINED, against=against)
    models = readings.replay.parents if readings.replay else (readings.pair or ())
    return Weighing(
        "linear-merge",
        Status.SUPPORTED,
        models=models,
        excluded=_excluded(readings, judged, blends),
        limits=_limits(blends),
    )


def _objection(readings: Readings, judged: Sequence[TensorReading], blends: Sequence[TensorReading]) -> str:
    if not judged:
        return "no matrix has enough elements where the parents differ and the suspect is no copy"
    if len(blends) < CARRYING_SHARE * len(judged):
        return (
            f"only {len(blends)} of {len(judged)} matrices lie on the grid of a stored blend, "
            f"and at least half would have to"
        )
    changed = [t for t in blends if t.kind == "changed"]
    total = sum(c.delta_ll for t in judged if (c := _comparison(t)) is not None)
    if len(changed) == len(blends) and total <= 0:
        return "the matrices together prefer a change that was never stored as a blend"
    share, name = control_pass_share(readings)
    if changed and share > CONTROL_SHARE:
        return f"the control {name} passes the same test in {share:.0%} of its matrices"
    return ""


def _comparison(reading: TensorReading) -> Comparison | None:
    if reading.mixture is None or isinstance(reading.mixture.comparison, Absent):
        return None
    return reading.mixture.comparison


def control_pass_share(readings: Readings) -> tuple[float, str]:
    """The best control: the largest share of its eligible matrices that look like a stored blend."""
    best, name = 0.0, ""
    if readings.pair is None:
        return best, name
    for control in readings.controls:
        found = [readings.mixture(t, control, readings.pair) for t in readings.matrices]
        usable = [m for m in found if m is not None and m.informative >= ELIGIBLE_INFORMATIVE]
        passed = [
            m
            for m in usable
            if passes_later_change(m.comparison)
            or (m.consistency == 1.0 and not (m.low <= 0 <= m.high or m.low <= 1 <= m.high))
        ]
        share = len(passed) / len(usable) if usable else 0.0
        if share >= best:
            best, name = share, readings.name(control)
    return best, name


def _excluded(
    readings: Readings, judged: Sequence[TensorReading], blends: Sequence[TensorReading]
) -> tuple[tuple[str, str], ...]:
    exact = [t for t in blends if t.kind == "exact"]
    if exact:
        elements = sum(t.replay.informative for t in exact if t.replay)
        reason = (
            f"the blend reproduces {elements:,} of {elements:,} elements where the parents differ, "
            f"in every bit; training or an average over a run does not land on that grid"
        )
    else:
        total = sum(c.delta_ll for t in judged if (c := _comparison(t)) is not None)
        reason = (
            f"the suspect sits on the grid of a stored blend in {len(blends)} of {len(judged)} "
            f"matrices (log-likelihood ratio {total:,.0f} in all), its imitators do not"
        )
    return (
        ("fine-tune", reason),
        ("same-run-checkpoint", reason),
        ("shared-ancestor", reason),
        ("independent", "its weights follow both parents"),
    )


def _limits(blends: Sequence[TensorReading]) -> tuple[str, ...]:
    limits = []
    if all(t.kind == "changed" for t in blends):
        limits.append(
            "A model that its parent's author blended and then trained reads the same: the weights "
            "say how the model was made, not by whom."
        )
    else:
        limits.append(
            "An author may blend a fine-tune with its own base (WiSE-FT): this is the same "
            "arithmetic, and weights do not say who did it."
        )
    return tuple(limits)
