"""``mixed-merge``: parts of a model by different rules, each of which gives its part in every bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from parentage.records.absence import Absent
from parentage.records.evidence import ModelRole
from parentage.records.recognition import MethodReplay, Recognition, Where
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.methods.courses_told import courses_words
from parentage.verdicts.methods.replayed import CONTROL_SHARE, method_words
from parentage.verdicts.readings import ELIGIBLE_INFORMATIVE, Readings, is_matrix
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["TAKEN_OVER", "mixed_parts", "part_rule", "part_words", "weigh_mixed", "where_words"]

TAKEN_OVER: Final = "passthrough"


def mixed_parts(readings: Readings) -> tuple[MethodReplay, ...]:
    """The suspect's parts, in order, where they are by different rules; else none.

    Tensors taken over whole are a rule of their own where they make up whole layers, and others are merged.
    """
    found = readings.evidence.recognition
    if not isinstance(found, Recognition):
        return ()
    parts = tuple(p for p in found.parts if p.subject == 0)
    rules = [p for p in parts if p.method != TAKEN_OVER]
    taken = [p for p in parts if p.method == TAKEN_OVER]
    if not taken and {p.method for p in rules} == {"linear"}:
        # Weights that differ from part to part are one rule's; two tools' last bits are no two rules.
        return ()
    apart = len(rules) == 1 and any(_whole_layers(readings, p) for p in taken)
    return parts if len(rules) > 1 or (apart and _whole_layers(readings, rules[0])) else ()


def _whole_layers(readings: Readings, part: MethodReplay) -> set[int]:
    """Layers all of whose matrices the part makes."""
    own, layers = {t.name for t in part.tensors}, dict[int, list[str]]()
    for tensor in readings.evidence.tensors:
        if not isinstance(tensor.layer, Absent) and is_matrix(tensor):
            layers.setdefault(tensor.layer, []).append(tensor.name)
    return {layer for layer, names in layers.items() if own.issuperset(names)}


def weigh_mixed(readings: Readings, tensors: Sequence[TensorReading]) -> Weighing | None:
    """None where the suspect does not fall into parts by different rules."""
    parts = mixed_parts(readings)
    if not parts:
        return None
    against = _objection(readings, parts)
    if against:
        return Weighing("mixed-merge", Status.UNDETERMINED, against=against)
    models = tuple(dict.fromkeys(k for p in parts for k in p.operands))
    return Weighing(
        "mixed-merge",
        Status.SUPPORTED,
        sentence=f"is a merge in parts: {'; '.join(part_words(readings, p) for p in parts)}",
        models=models,
        excluded=_excluded(readings, parts),
        limits=_limits(parts),
    )


def part_words(readings: Readings, part: MethodReplay) -> str:
    """``layers 0 to 5 by TIES of O, A and B (weight = 0.5 : 0.3)``."""
    return f"{where_words(part.where)} {part_rule(readings, part)}"


def part_rule(readings: Readings, part: MethodReplay) -> str:
    """What made the part, with its numbers."""
    names = listing([readings.name(k) for k in part.operands])
    if part.method == TAKEN_OVER:
        return f"taken over from {names}"
    own = sum(not isinstance(t.own, Absent) for t in part.tensors) if not part.courses else 0
    numbers = [part.label, courses_words(part, readings.name)]
    told = ", ".join(n for n in numbers if n)
    varied = f", with numbers of their own in {own} tensors" if own else ""
    return f"by {method_words(part.method)} of {names}{f' ({told})' if told else ''}{varied}"


def where_words(where: Where) -> str:
    """``layers 0 to 5, “self_attn”``; the rest where nothing bounds it."""
    if where.tensors:
        more = "" if len(where.tensors) == 1 else f" and {len(where.tensors) - 1} more tensors"
        return f"{where.tensors[0]}{more}"
    words = []
    if not isinstance(where.layers, Absent):
        first, last = where.layers[0], where.layers[1] - 1
        words.append(f"layer {first}" if first == last else f"layers {first} to {last}")
    words += [f"“{f}”" for f in where.filters]
    return ", ".join(words) or "the rest"


def _objection(readings: Readings, parts: Sequence[MethodReplay]) -> str:
    shapes = {t.name: is_matrix(t) for t in readings.evidence.tensors}
    for part in parts:
        off = [t for t in part.tensors if t.equal < t.elements]
        if off:
            return f"{off[0].name} is not what {method_words(part.method)} makes of it"
        told = sum(t.informative for t in part.tensors if shapes.get(t.name))
        if part.method != TAKEN_OVER and told < ELIGIBLE_INFORMATIVE:
            return f"{method_words(part.method)} rests on {told} elements that tell, which is too few"
    return _missing(readings, parts) or _one_weight(readings, parts) or _control_objection(readings)


def _missing(readings: Readings, parts: Sequence[MethodReplay]) -> str:
    """A tensor that no part has, though all were replayed."""
    known = {t.name for p in parts for t in p.tensors}
    missing = [t.name for t in readings.evidence.tensors if t.finite and t.name not in known]
    left = max(p.left for p in parts)
    return "" if len(missing) <= left else f"{missing[0]} belongs to no part"


def _one_weight(readings: Readings, parts: Sequence[MethodReplay]) -> str:
    """A weight that explains every tensor: parts by different rules are then no simpler account, however
    many of an arithmetic's last bits they give that no blend among those known gives."""
    models = {k for p in parts for k in p.operands}
    for sweep in readings.evidence.sweeps:
        if (
            sweep.subject
            or {sweep.first, sweep.second} != models
            or sweep.consistent_tensors < sweep.tensors
        ):
            continue
        if not isinstance(sweep.low, Absent) and not isinstance(sweep.high, Absent):
            of = readings.name(sweep.first)
            return (
                f"one weight of {of}, {sweep.low:.6g} to {sweep.high:.6g}, explains every tensor: they may "
                "be one blend in an arithmetic that was not replayed"
            )
    return ""


def _control_objection(readings: Readings) -> str:
    found = readings.evidence.recognition
    assert isinstance(found, Recognition)
    for part in found.parts:
        real = part.subject and readings.evidence.models[part.subject].role is ModelRole.CONTROL
        if real and part.informative and part.matches > CONTROL_SHARE * part.informative:
            return f"the control {readings.name(part.subject)} is given by a part's recipe"
    return ""


def _excluded(readings: Readings, parts: Sequence[MethodReplay]) -> tuple[tuple[str, str], ...]:
    total = sum(len(p.tensors) for p in parts)
    elements = sum(t.elements for p in parts for t in p.tensors)
    why = f"each part's rule reproduces all of its elements, {elements:,} in all, in every bit"
    alone: Mapping[str, int] = {}
    for part in parts:
        if part.method != TAKEN_OVER:
            alone = {**alone, part.relation: alone.get(part.relation, 0) + len(part.tensors)}
    blend = f"no one set of weights reproduces all {total} tensors"
    if (linear := readings.replay) is not None and linear.informative:
        share = linear.informative_matches / linear.informative
        blend = f"the best blend at one set of weights for the model gives {share:.4f} of its elements"
    single = tuple(
        (relation, f"its rule gives {count} of {total} tensors, and the others come by another rule")
        for relation, count in alone.items()
        if relation != "linear-merge"
    )
    causes = ("copy", "fine-tune", "same-run-checkpoint", "independent")
    return (("linear-merge", blend), *single, *((c, why) for c in causes))


def _limits(parts: Sequence[MethodReplay]) -> tuple[str, ...]:
    limits = [
        "Where several rules give a part's every bit, the one with the fewest numbers is named; the parts' "
        "borders are the shortest that fit, and a tensor that several rules give may belong to either side."
    ]
    left = max(p.left for p in parts)
    if left:
        limits.append(f"The parts were not replayed on {left} large tensors; --full replays all.")
    return tuple(limits)
