"""``linear-merge``: the suspect is a weighted sum of its parents, with or without later change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.evidence import Mixture, TensorEvidence, WeightSet
from parentage.verdicts.beside.tensors import TensorReading, along_parents
from parentage.verdicts.blends.blend_tests import (
    ALONG_PARENTS,
    explains_all,
    objection_to,
    passes_later_change,
)
from parentage.verdicts.readings import ELIGIBLE_INFORMATIVE, Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["control_pass_share", "tried", "weigh_linear_merge"]

# At least this share of the eligible tensors must be a blend on their own.
CARRYING_SHARE = 0.5
# A parent that has no share led by 4 in a matrix, and by 11 in three; one that has, by 2 to 13.
SEVERAL_DROP = 15.0
SEVERAL_DROP_EACH = 5.0
BLENDS = ("exact", "blend", "changed")
# No control may pass in more than this share of its tensors.
CONTROL_SHARE = 0.05


def weigh_linear_merge(readings: Readings, tensors: Sequence[TensorReading]) -> Weighing | None:
    """None when no two parents could be tried; else supported or undetermined, never contradicted
    (only a stated claim can be contradicted)."""
    eligible = [t for t in tensors if t.eligible]
    judged = [t for t in eligible if t.kind not in ("copy", "cast-copy", "quantized-copy", "shared")]
    blends = [t for t in judged if t.kind in BLENDS]
    if readings.pair is None and readings.replay is None:
        return None
    against = _objection(readings, judged, blends)
    if against:
        return Weighing("linear-merge", Status.UNDETERMINED, against=against)
    return Weighing(
        "linear-merge",
        Status.SUPPORTED,
        models=_models(readings, blends),
        excluded=_excluded(readings, judged, blends),
        limits=(*_limits(blends), *_untold(readings, blends)),
    )


def _models(readings: Readings, blends: Sequence[TensorReading]) -> tuple[int, ...]:
    """The parents, in the order of the recipe that was replayed where it is theirs."""
    replayed = readings.replay.parents if readings.replay else ()
    tested = readings.blended or readings.pair or ()
    exact = sum(t.kind == "exact" for t in blends)
    return replayed if set(replayed) == set(tested) or 2 * exact > len(blends) else tested


def _objection(readings: Readings, judged: Sequence[TensorReading], blends: Sequence[TensorReading]) -> str:
    if not judged:
        return "no matrix has enough elements where the parents differ and the suspect is no copy"
    if len(blends) < CARRYING_SHARE * len(judged):
        return (
            f"only {len(blends)} of {len(judged)} matrices lie on the grid of a stored blend, "
            f"and at least half would have to ({_reasons(judged)})"
        )
    changed = [t for t in blends if t.kind == "changed"]
    return _objection_to_changed(readings, judged, blends, changed) if changed else ""


def _objection_to_changed(
    readings: Readings,
    judged: Sequence[TensorReading],
    blends: Sequence[TensorReading],
    changed: Sequence[TensorReading],
) -> str:
    if readings.several_needed and not readings.blended:
        return f"in {readings.several_needed} matrices the grid needs more than two parents, in others not"
    if not readings.blended and (why := _more_than_two(readings.over_fewer)):
        return why
    off_line = _off_the_line(readings, changed)
    if off_line:
        return off_line
    if len(changed) == len(blends) and _total_lead(judged) <= 0:
        return "the matrices together prefer a change that was never stored as a blend"
    share, name = control_pass_share(readings)
    if share > CONTROL_SHARE:
        return f"the control {name} passes the same test in {share:.0%} of its matrices"
    return ""


def _more_than_two(leads: Sequence[float]) -> str:
    """Does the grid of all parents explain more than that of two, in no matrix by enough to say so?"""
    if sum(leads) < SEVERAL_DROP or sum(leads) < SEVERAL_DROP_EACH * len(leads):
        return ""
    return (
        f"the grid of all parents explains {sum(leads):.0f} more (log-likelihood, {len(leads)} matrices) "
        f"than that of two, and in none enough to say which"
    )


def _off_the_line(readings: Readings, changed: Sequence[TensorReading]) -> str:
    """Does what came after the blend look like what an average over a run, or another parent, leaves?"""
    along = along_parents(changed)
    if abs(along) > ALONG_PARENTS:
        return (
            f"what is left over follows the parents' difference (correlation {along:.2f}), as in an "
            f"average over a run between them; training after a merge follows it by {ALONG_PARENTS} at most"
        )
    third = sum(
        any(w.subject == 0 and not isinstance(w.comparison, Absent) for w in t.tensor.weights)
        for t in changed
    )
    if third and not readings.blended and 2 * third >= len(changed):
        return f"in {third} matrices another parent explains what is left over, on no grid of all of them"
    return ""


def _total_lead(judged: Sequence[TensorReading]) -> float:
    return sum(c.delta_ll for t in judged if not isinstance(c := t.tested, Absent))


def _reasons(judged: Sequence[TensorReading]) -> str:
    """Why matrices do not pass, the commonest reason first."""
    counts = Counter(why for t in judged if t.kind not in BLENDS and (why := objection_to(t.tested)))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"in {n}, {why}" for why, n in ordered) or "the recipe replayed fits no better"


def control_pass_share(readings: Readings) -> tuple[float, str]:
    """The best control: the largest share of its eligible matrices that look like a stored blend."""
    best, name = 0.0, ""
    for control in readings.controls:
        usable = [row for t in readings.matrices if (row := tried(readings, t, control)) is not None]
        passed = [row for row in usable if _looks_blended(row)]
        share = len(passed) / len(usable) if usable else 0.0
        if share >= best:
            best, name = share, readings.name(control)
    return best, name


def tried(readings: Readings, tensor: TensorEvidence, subject: int) -> Mixture | WeightSet | None:
    """A model on the suspect's path: several parents' likelihoods, else the pair's."""
    found = readings.weight_set(tensor, subject)
    if found is not None:
        return found if found.elements >= ELIGIBLE_INFORMATIVE else None
    mixture = None if readings.pair is None else readings.mixture(tensor, subject, readings.pair)
    return mixture if mixture is not None and mixture.informative >= ELIGIBLE_INFORMATIVE else None


def _looks_blended(row: Mixture | WeightSet) -> bool:
    if passes_later_change(row.comparison):
        return True
    if isinstance(row, WeightSet):
        return explains_all(row)
    return row.consistency == 1.0 and not (row.low <= 0 <= row.high or row.low <= 1 <= row.high)


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
        total = _total_lead(judged)
        reason = (
            f"the suspect sits on the grid of a stored blend in {len(blends)} of {len(judged)} "
            f"matrices (log-likelihood ratio {total:,.0f} in all), its imitators do not"
        )
    return (
        ("fine-tune", reason),
        ("same-run-checkpoint", reason),
        ("shared-ancestor", reason),
        ("independent", "its weights follow all parents named"),
    )


def _untold(readings: Readings, blends: Sequence[TensorReading]) -> tuple[str, ...]:
    """Parents that were given, and whose share a blend of two that was changed does not exclude."""
    changed = any(t.kind == "changed" for t in blends)
    rest = [readings.name(i) for i in readings.parents if i not in (readings.pair or ())]
    if not changed or readings.blended or not rest:
        return ()
    return (
        f"Two of the parents explain it as well as all do: a share of {listing(rest)} in place of one that "
        f"it is near to is not excluded.",
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
