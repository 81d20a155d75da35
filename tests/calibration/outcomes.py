"""What one audit said of a planted world, beside the truth, as one flat record."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.evidence import Evidence, Mixture, TensorEvidence
from parentage.records.report import Report, Verdict
from parentage.verdicts.blends.blend_tests import passes_later_change
from parentage.verdicts.judge import judge
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.neighbours import origin_radius
from tests.worlds.planted import Truth

__all__ = ["NEVER_A_MERGE", "Outcome", "false_events", "is_found", "outcome_of", "worst_weight"]

Outcome = dict[str, Any]

# Kinds whose suspects were never blended from the parents listed.
NEVER_A_MERGE = (
    "other-fine-tune",
    "independent",
    "earlier-checkpoint",
    "run-average",
    "trained-on",
    "siblings",
    "quantised",
    "quantised-copy",
    "float32",
)


_WITHIN = re.compile(r"A model within about (\S+) standard deviations")
# Kinds whose suspects may be a stage on the way from one model given to another, as "shared-ancestor" says.
ON_THE_WAY = ("earlier-checkpoint", "run-average")


def outcome_of(truth: Truth, evidence: Evidence) -> Outcome:
    """Judge the evidence by today's rules and set it beside the truth."""
    report = judge(evidence)
    verdict, after = report.verdict, report.post_training
    return {
        "kind": truth.kind,
        "seed": truth.seed,
        "variant": truth.variant,
        "real": truth.real,
        "truth": asdict(truth),
        "relation": verdict.relation,
        "status": verdict.status,
        "sentence": verdict.sentence,
        "parents": {p.name.removesuffix(".safetensors"): _plain(p.weight) for p in verdict.parents},
        "post_training": after.status,
        "sigma": _plain(after.sigma_relative),
        "changed": _plain(after.changed_share),
        "replay": _replay(report),
        "reach": _reach(verdict),
        "origin": _origin(Readings(evidence), verdict, truth),
        "tensors": [row for t in evidence.tensors if (row := _tensor(evidence, t, truth)) is not None],
    }


def _plain(value: Estimate | Absent) -> list[float] | None:
    return None if isinstance(value, Absent) else [value.estimate, value.low, value.high]


def _reach(verdict: Verdict) -> float | None:
    """How far from the model named, in standard deviations, one may lie that has the same codes."""
    found = [m for limit in verdict.limits if (m := _WITHIN.match(limit)) is not None]
    return float(found[0].group(1)) if found and verdict.relation == "quantized-copy" else None


def _origin(readings: Readings, verdict: Verdict, truth: Truth) -> list[float] | None:
    """Where a blend of two is said to be a fine-tune of one: how far from that one the blend lay, and
    within what distance the report says that the origin lies."""
    if verdict.relation != "fine-tune" or verdict.status != "supported" or len(truth.weights) != 2:
        return None
    names = {readings.name(i).removesuffix(".safetensors"): i for i in readings.others}
    said = verdict.parents[0].name.removesuffix(".safetensors")
    if said not in truth.weights:
        return None
    first, second = (names[n] for n in truth.weights)
    apart = readings.apart(first, second)
    if apart is None:
        return None
    return [(1 - truth.weights[said]) * apart, origin_radius(readings, names[said])]


def _replay(report: Report) -> Outcome | None:
    if isinstance(report.replay, Absent):
        return None
    p = report.replay.parameters
    return {
        "arithmetic": report.replay.arithmetic,
        "indistinguishable": p.get("indistinguishable"),
        "weights": p.get("weights"),
        "match": report.replay.match,
        "informative": report.replay.informative_elements,
    }


def _tensor(evidence: Evidence, tensor: TensorEvidence, truth: Truth) -> Outcome | None:
    """The first parent's weight with its interval on one tensor, where the weights are known."""
    names = [m.name.removesuffix(".safetensors") for m in evidence.models]
    if len(truth.weights) > 2:
        return _of_several(tensor, names, truth)
    own = [m for m in tensor.mixtures if m.subject == 0 and names[m.first] in truth.weights]
    if len(truth.weights) != 2 or not own or own[0].informative == 0:
        return None
    mixture = own[0]
    return {
        "name": tensor.name,
        "matrix": len(tensor.shape) == 2,
        "alpha": truth.weights[names[mixture.first]],
        "informative": mixture.informative,
        "consistency": mixture.consistency,
        "least_squares": None if isinstance(mixture.least_squares, Absent) else mixture.least_squares,
        **_interval(mixture),
    }


def _of_several(tensor: TensorEvidence, names: list[str], truth: Truth) -> Outcome | None:
    own = [w for w in tensor.weights if w.subject == 0 and len(w.parents) == len(truth.weights)]
    if not own:
        return None
    found = own[0]
    row = {
        "name": tensor.name,
        "matrix": len(tensor.shape) == 2,
        "alpha": truth.weights[names[found.parents[0]]],
        "informative": found.elements,
        "consistency": found.consistency,
        "least_squares": None,
    }
    c = found.comparison
    if found.feasible:
        ends = {"estimate": found.estimate[0], "low": found.low[0], "high": found.high[0]}
        return {**row, "basis": "feasible", **ends}
    if isinstance(c, Absent) or isinstance(c.lattice_lead, Absent):
        return {**row, "basis": "none"}
    ends = {"estimate": c.weights[0], "low": c.low[0], "high": c.high[0]}
    return {
        **row,
        "basis": "likelihood",
        "passes": passes_later_change(c),
        **ends,
        "delta_ll": c.delta_ll,
        "scale": c.scale,
        "family": c.family,
        "correlation": c.correlations[0],
    }


def _interval(mixture: Mixture) -> Outcome:
    if mixture.consistency == 1.0:
        middle = (mixture.low + mixture.high) / 2
        return {"basis": "feasible", "estimate": middle, "low": mixture.low, "high": mixture.high}
    c = mixture.comparison
    if isinstance(c, Absent):
        return {"basis": "none"}
    if isinstance(c.alpha_low, Absent) or isinstance(c.alpha_high, Absent):
        # Where the grid of a blend explains nothing, no interval is drawn.
        return {"basis": "estimate", "estimate": c.alpha, "delta_ll": c.delta_ll}
    return {
        "basis": "likelihood",
        # A report gives the weight of a matrix only where the matrix passes the test for itself.
        "passes": passes_later_change(c),
        "estimate": c.alpha,
        "low": min(c.alpha_low, c.alpha),
        "high": max(c.alpha_high, c.alpha),
        "delta_ll": c.delta_ll,
        "scale": c.scale,
        "family": c.family,
        "correlation": c.residual_correlation,
    }


def false_events(outcome: Outcome) -> list[str]:
    """What the audit said that is not so: a false merge, a false later training, a false clean bill,
    or another relation that is supported and wrong."""
    kind, status, of = outcome["kind"], outcome["status"], _made_as(outcome)
    merge = outcome["relation"] == "linear-merge" and status == "supported"
    events = []
    if kind in NEVER_A_MERGE and merge:
        events.append("false merge")
    if not kind.startswith("merge:") and outcome["post_training"] == "detected":
        events.append("false training")
    clean = merge and outcome["post_training"] == "not-detected"
    # A revision that changes no bit of the blend leaves the blend of the parent listed, and that is said.
    unchanged = of == "other-revision" and bool(outcome["replay"]) and outcome["replay"]["match"] == 1.0
    if of in ("missing-parent", "other-revision") and clean and not unchanged:
        events.append("false clean merge")
    if status == "supported" and not merge and not _true_relation(outcome):
        events.append("false relation")
    return events


def _made_as(outcome: Outcome) -> str:
    """The kind that the suspect was made as, before it was published in float32."""
    return str(outcome.get("truth", {}).get("notes", {}).get("of", outcome["kind"]))


def is_found(outcome: Outcome) -> bool:
    """Was a planted blend told as one? Base + w (A - base) is one, by its method's name."""
    if outcome["status"] != "supported":
        return False
    return outcome["relation"] == "linear-merge" or _as_a_difference(outcome)


def worst_weight(outcome: Outcome) -> float:
    """How far the weight that is farthest off lies from the planted one; 1 where one is not told."""
    found, planted = outcome["parents"], outcome["truth"]["weights"]
    # A base has what its one model leaves.
    asked = [n for n in planted if found.get(n) or not _as_a_difference(outcome)]
    return max(abs(found[n][0] - planted[n]) if found.get(n) else 1.0 for n in asked)


def _as_a_difference(outcome: Outcome) -> bool:
    """Task arithmetic with one model on its base, at the planted weight."""
    weights, told = outcome["truth"].get("weights"), outcome["parents"]
    if outcome["relation"] != "task-arithmetic-merge" or not weights or set(told) != set(weights):
        return False
    known = {name: found for name, found in told.items() if found}
    return len(told) == 2 and len(known) == 1 and all(f[1] <= weights[n] <= f[2] for n, f in known.items())


def _true_relation(outcome: Outcome) -> bool:
    if _as_a_difference(outcome):
        return True
    origin = outcome.get("origin")
    if origin is not None:
        return bool(origin[0] <= origin[1])
    if outcome["relation"] == "shared-ancestor" and _made_as(outcome) in ON_THE_WAY:
        return True
    reach, apart = outcome.get("reach"), outcome["truth"].get("notes", {}).get("apart", {})
    if reach is not None and outcome["parents"]:
        near = [name for name in outcome["parents"] if apart.get(name, 1.0) <= reach]
        # "That model, quantised, or one within so much of it": true of a checkpoint that lies so near.
        if len(near) == len(outcome["parents"]):
            return True
    allowed = outcome["truth"]["supported"].get(outcome["relation"])
    if allowed is None:
        return False
    return set(outcome["parents"]) <= {*allowed, "control"} if outcome["parents"] else True
