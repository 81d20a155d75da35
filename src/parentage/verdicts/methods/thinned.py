"""``dare-merge`` and ``della-merge`` by their pattern, where the seed of the masks is not known.

Each element that tells is the base's number, or the base's and the weighted changes of some of the models:
one of a finite set of numbers. All of them have to be; which it is has to be chance, element by element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from parentage.records.evidence import ModelRole
from parentage.records.recognition import Finding, Recognition
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.readings import ELIGIBLE_INFORMATIVE, Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["KIND", "pattern_found", "weigh_thinned"]

KIND: Final = "thinned-by-chance"
# The same sets with every change turned round explain this share at most, a control this share at most.
MIRROR: Final = 0.5
CONTROL: Final = 0.5
# Elements of each parent that stayed, and that were dropped, at least.
EACH: Final = 20
# Below these a mask is not chance: one in a million of true ones is refused by either test.
UNEVEN: Final = 1e-6
DEPENDENT: Final = 5.0
# An epsilon up to this is not worth a rival's name.
FLAT: Final = 0.02


def pattern_found(readings: Readings) -> Finding | None:
    """The pattern that was measured, of the largest set of models."""
    found = readings.evidence.recognition
    if not isinstance(found, Recognition):
        return None
    return next((f for f in found.findings if f.kind == KIND), None)


def weigh_thinned(readings: Readings, tensors: Sequence[TensorReading]) -> Weighing | None:
    """None where no pattern was measured."""
    found = pattern_found(readings)
    if found is None:
        return None
    relation = "della-merge" if _by_rank(found) else "dare-merge"
    against = _objection(readings, found)
    if against:
        return Weighing(relation, Status.UNDETERMINED, against=against)
    return Weighing(
        relation,
        Status.SUPPORTED,
        sentence=_sentence(readings, found),
        models=found.models,
        excluded=_excluded(found),
        live=_live(found),
        limits=_limits(readings, found),
    )


def _thinned(found: Finding) -> list[Mapping[str, Any]]:
    return [p for p in found.measures["parents"] if not p["whole"]]


def _by_rank(found: Finding) -> bool:
    return any(p["epsilon"][1] > 0 for p in _thinned(found))


def _objection(readings: Readings, found: Finding) -> str:
    m = found.measures
    if m["told"] < ELIGIBLE_INFORMATIVE or m["explained"] < m["told"] or m["unexplained"]:
        left = m["told"] - m["explained"] + m["unexplained"]
        return (
            f"of {m['told']:,} elements that would tell, {left:,} are no sum of whole changes of the models"
        )
    if m["mirrored"] > MIRROR * m["told"]:
        return f"chance explains {m['mirrored']:,} of {m['told']:,} elements as well"
    for parent in _thinned(found):
        if min(parent["stayed"], parent["trials"] - parent["stayed"]) < EACH:
            return "too few elements tell at which rate changes were dropped"
        if min(parent["p_ranks"], parent["p_neighbours"]) < UNEVEN:
            return "which changes were dropped is not a matter of chance alone"
    if m["dependence"] > DEPENDENT:
        return "the changes of two models were dropped together"
    return _control_objection(readings, found)


def _control_objection(readings: Readings, found: Finding) -> str:
    for control in found.measures["controls"]:
        real = readings.evidence.models[control["model"]].role is ModelRole.CONTROL
        if real and control["told"] and control["explained"] > CONTROL * control["told"]:
            name = readings.name(control["model"])
            return f"the same sums explain {control['explained']:,} elements of the control {name}"
    return ""


def _sentence(readings: Readings, found: Finding) -> str:
    names = [readings.name(k) for k in found.models]
    word = "DELLA" if _by_rank(found) else "DARE"
    signs = {True: ", signs elected", False: ", added up"}.get(found.measures["elected"], "")
    return f"is a merge by {word} of {listing(names[1:])} into {names[0]}{signs}: {_rates(names, found)}"


def _rates(names: Sequence[str], found: Finding) -> str:
    told = []
    for name, parent in zip(names[1:], found.measures["parents"], strict=True):
        if parent["whole"]:
            told.append(f"all of {name}'s changes were kept")
            continue
        middle, low, high = parent["density"]
        told.append(f"{middle:.1%} ({low:.1%} to {high:.1%}) of {name}'s changes were kept at random")
    return listing(told)


def _excluded(found: Finding) -> tuple[tuple[str, str], ...]:
    m = found.measures
    finite = (
        f"all {m['told']:,} elements that tell are sums of whole changes of the models (the same with the "
        f"changes turned round: {m['mirrored']:,})"
    )
    size = "elements of every size were dropped beside kept ones"
    return (
        ("linear-merge", f"{size}, where a blend drops none"),
        ("ties-merge", f"{size}, where TIES drops the smallest alone"),
        ("breadcrumbs-merge", f"{size}, where breadcrumbs drop the ends alone"),
        ("fine-tune", finite),
        ("same-run-checkpoint", finite),
        ("independent", finite),
        *([("dare-merge", _slope(found))] if _by_rank(found) else []),
    )


def _slope(found: Finding) -> str:
    top = max((p["epsilon"] for p in _thinned(found)), key=lambda e: float(e[1]))
    return (
        f"larger changes of a row were kept more often (epsilon {top[0]:.3f}, {top[1]:.3f} to {top[2]:.3f})"
    )


def _live(found: Finding) -> tuple[tuple[str, str], ...]:
    steepest = max(max(abs(p["epsilon"][1]), abs(p["epsilon"][2])) for p in _thinned(found))
    if _by_rank(found) or steepest <= FLAT:
        return ()
    return (("della-merge", f"DELLA with an epsilon of {steepest:.3f} or less would look the same"),)


def _weights(names: Sequence[str], found: Finding) -> list[str]:
    """What is told of weights without the masks: what a kept change counts, and both readings of it. Where
    signs were elected and weights divided by those that took part, nothing is."""
    if found.measures["averaged"]:
        return []
    told = []
    for name, parent in zip(names[1:], found.measures["parents"], strict=True):
        if not parent["whole"]:
            low, high = min(parent["coefficients"]), max(parent["coefficients"])
            middle, kept = (low + high) / 2, parent["density"]
            ends = sorted(c * d for c in (low, high) for d in kept[1:])
            told.append(
                f"A kept change of {name} counts {middle:.4g} times ({low:.4g} to {high:.4g} over the "
                f"tensors): a weight of {middle * kept[0]:.3g} ({ends[0]:.3g} to {ends[-1]:.3g}) "
                "where what was kept was rescaled, and else of as much; lambda is part of it."
            )
    return told


def _limits(readings: Readings, found: Finding) -> tuple[str, ...]:
    m = found.measures
    seed = m["seed"]
    reason = f"the seed {seed} draws its masks, but no numbers replay it" if isinstance(seed, int) else seed
    limits = [
        f"The merge was not replayed: {reason}. It is told by its pattern in {len(found.tensors)} tensors "
        f"({m['elements']:,} elements)."
    ]
    if len(found.models) == 2:
        limits.append("With one model beside the base, DARE with elected signs and without are the same.")
    if m["elected"] == "unknown" and len(found.models) > 2:
        limits.append("No element tells whether signs were elected.")
    return (*limits, *_weights([readings.name(k) for k in found.models], found))
