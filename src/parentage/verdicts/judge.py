"""From Evidence to Report: every hypothesis is weighed, the strongest that holds is the verdict.

Judging reads an Evidence and nothing else, so that last year's evidence can be judged again.
"""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.evidence import Evidence
from parentage.records.report import Report
from parentage.verdicts.assemble import assemble
from parentage.verdicts.beside.tensors import TensorReading, read_tensors
from parentage.verdicts.methods.adapters import weigh_adapters
from parentage.verdicts.methods.experts import weigh_upcycled
from parentage.verdicts.methods.low_rank import weigh_low_rank
from parentage.verdicts.methods.registry import weigh_methods
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.ancestors import weigh_independent, weigh_shared_ancestor
from parentage.verdicts.relations.between import weigh_beside, weigh_between
from parentage.verdicts.relations.copies import weigh_cast_copy, weigh_copy, weigh_passthrough
from parentage.verdicts.relations.left_alone import weigh_left_alone
from parentage.verdicts.relations.linear_merge import weigh_linear_merge
from parentage.verdicts.relations.quantized_copies import weigh_quantized_copy
from parentage.verdicts.relations.quantized_merges import weigh_quantized_merge
from parentage.verdicts.relations.rooted import weigh_descent
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["judge", "weigh_all"]


def judge(evidence: Evidence, *, claim: str | None = None) -> Report:
    """Judge one evidence; ``claim`` names a relation that the user wants tested."""
    readings = Readings(evidence)
    tensors = read_tensors(readings)
    weighings = weigh_all(readings, tensors)
    return assemble(readings, tensors, weighings, choose(weighings), claim)


def weigh_all(readings: Readings, tensors: Sequence[TensorReading]) -> tuple[Weighing, ...]:
    """Every hypothesis, strongest evidence first; those without a footing are left out."""
    found = (
        weigh_upcycled(readings),
        weigh_copy(readings),
        weigh_quantized_copy(readings),
        weigh_cast_copy(readings),
        weigh_passthrough(readings),
        weigh_adapters(readings),
        *weigh_methods(readings, tensors),
        weigh_linear_merge(readings, tensors),
        weigh_quantized_merge(readings),
        weigh_low_rank(readings),
        weigh_left_alone(readings),
        weigh_between(readings),
        weigh_descent(readings),
        weigh_shared_ancestor(readings),
        weigh_beside(readings),
        weigh_independent(readings),
    )
    return tuple(w for w in found if w is not None)


def choose(weighings: Sequence[Weighing]) -> Weighing:
    """The first that is supported; else the first look-alike; else undetermined."""
    for weighing in weighings:
        # What lies between two models is not said to descend from either.
        if weighing.relation == "same-run-checkpoint":
            return weighing
        if weighing.status is Status.SUPPORTED:
            return weighing
    rivals = [rival for w in weighings for rival in w.live]
    told = {relation for relation, _ in rivals}
    rivals += [(w.relation, w.against) for w in weighings if w.against and w.relation not in told]
    return Weighing(
        "undetermined",
        Status.UNDETERMINED,
        live=tuple(dict.fromkeys(rivals)),
        against="no hypothesis was carried by the evidence",
    )
