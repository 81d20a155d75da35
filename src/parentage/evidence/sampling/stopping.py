"""Is a component's question answered? Decides how far reading goes, and no verdict.

The question: are its tensors stored blends of the two parents, blends that were never stored, or changes of
one parent alone; and where they are blends, with which weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parentage.evidence.blends.mixtures import LIKELIHOOD_ELEMENTS
from parentage.numerics.deciding.predictive import LogEvidence, majority
from parentage.numerics.shares.intervals_binomial import hartung_knapp
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.evidence import Mixture, TensorEvidence
from parentage.records.reading import ComponentReading

__all__ = ["LEVEL", "OPEN", "component_reading", "needed_for", "tested_mixture"]

# For all components, pairs of parents and kinds of answers together.
LEVEL = 0.05
ANSWERS = 4
# A weight is told from the next simple number (.60 from .625 and 4/7) by an interval of this width.
WIDTH = 0.02
MINIMUM_INFORMATIVE = 200
UNRELATED = 0.15
# A change larger than this many of the blend's coarse grid steps leaves no grid to be seen (the verdicts'
# own rule), however many elements are read.
MOST_STEPS = 1.5
OPEN = "open"


def needed_for(components: int, pairs: int) -> float:
    """The logarithm that an e-value must reach: the union bound over all that could be said."""
    return math.log(ANSWERS * max(components, 1) * max(pairs, 1) / LEVEL)


def tested_mixture(tensor: TensorEvidence) -> Mixture | None:
    """The pair of parents on whose blend this tensor can be tested; None where it cannot."""
    if len([n for n in tensor.shape if n > 1]) < 2:
        return None
    for m in tensor.mixtures:
        compared = m.consistency == 1.0 or not isinstance(m.comparison, Absent)
        if m.subject == 0 and m.informative >= MINIMUM_INFORMATIVE and compared:
            return m
    return None


@dataclass(frozen=True, slots=True)
class _Tested:
    tensor: TensorEvidence
    mixture: Mixture
    evidence: LogEvidence

    @property
    def exact(self) -> bool:
        return _is_exact(self.mixture)

    @property
    def for_blend(self) -> float:
        return self.evidence.against_one if self.exact else self.evidence.for_blend


def component_reading(
    component: str,
    stages: int,
    tensors: Sequence[TensorEvidence],
    totals: Mapping[str, LogEvidence],
    needed: float,
) -> ComponentReading:
    """What is known of one component; ``totals``: of its matrices that were drawn for the test."""
    pairs = [(t, tested_mixture(t)) for t in tensors if t.name in totals]
    tested = [_Tested(t, m, totals[t.name]) for t, m in pairs if m is not None]
    pair = _pair(tested[0]) if tested else ()
    mixtures = [m for t in tensors if (m := tested_mixture(t)) is not None]
    weight = _weight([m for m in mixtures if (m.first, m.second) == pair])
    scores = {
        "blend": majority(t.for_blend for t in tested),
        "never-stored": majority(t.evidence.for_free for t in tested),
        "one-parent": majority(t.evidence.for_one for t in tested),
    }
    outcome, reason = _outcome(tensors, tested, scores, weight, needed)
    return ComponentReading(
        component=component,
        stages=stages,
        tensors=len(tensors),
        pair=pair,
        tested=len(tested),
        exact=sum(t.exact for t in tested),
        for_blend=_bounded(scores["blend"]),
        for_free=_bounded(scores["never-stored"]),
        for_one=_bounded(scores["one-parent"]),
        weight=weight,
        outcome=outcome,
        reason=reason,
    )


def _is_exact(mixture: Mixture) -> bool:
    """One weight explains every element that differs between the parents, and the others are theirs."""
    return mixture.consistency == 1.0 and mixture.equal == mixture.equal_agree


def _bounded(value: float) -> float:
    return min(max(value, -1e15), 1e15)


def _outcome(
    tensors: Sequence[TensorEvidence],
    tested: Sequence[_Tested],
    scores: Mapping[str, float],
    weight: Estimate | Absent,
    needed: float,
) -> tuple[str, str]:
    plain = _without_a_test(tensors, tested)
    if plain is not None:
        return plain
    decided = _decided(tested, scores, weight, needed)
    if decided is not None:
        return decided
    if 2 * sum(_hidden(t.mixture) for t in tested) > len(tested):
        return "no-grid", f"the change exceeds {MOST_STEPS} grid steps, which no more elements make visible"
    best = max(scores.values())
    return OPEN, f"nothing has reached {_powers(needed)} to 1 (the most: {_powers(best)} to 1)"


def _decided(
    tested: Sequence[_Tested], scores: Mapping[str, float], weight: Estimate | Absent, needed: float
) -> tuple[str, str] | None:
    """What an e-value decides."""
    if scores["blend"] >= needed:
        width = math.inf if isinstance(weight, Absent) else weight.high - weight.low
        sure = f"at least half are stored blends, {_powers(scores['blend'])} to 1"
        if width <= WIDTH:
            return "blend", sure
        if all(t.mixture.informative > LIKELIHOOD_ELEMENTS for t in tested):
            return "blend", f"{sure}; no more elements of a matrix would narrow the weight"
        return OPEN, f"stored blends, whose weight is known to {width:.3f}, and not yet to {WIDTH}"
    for outcome, words in (
        ("never-stored", "at least half are no stored blend of these parents"),
        ("one-parent", "at least half are a change of one parent alone"),
    ):
        if scores[outcome] >= needed:
            return outcome, f"{words}, {_powers(scores[outcome])} to 1"
    return None


def _without_a_test(tensors: Sequence[TensorEvidence], tested: Sequence[_Tested]) -> tuple[str, str] | None:
    if all(t.whole for t in tensors):
        return "read-whole", "every element was read"
    if all(_copied(t) for t in tensors):
        return "copy", "every element that was read equals another model's"
    if not tested:
        if any(m.informative for t in tensors for m in t.mixtures if m.subject == 0):
            return OPEN, f"no matrix has {MINIMUM_INFORMATIVE} elements yet in which the parents differ"
        return "no-pair", "no two parents differ in what was read of it"
    if all(max(abs(t.tensor.correlation[k - 1]) for k in _pair(t)) < UNRELATED for t in tested):
        return "unrelated", "its weights are unrelated to both parents"
    return None


def _pair(tested: _Tested) -> tuple[int, int]:
    return tested.mixture.first, tested.mixture.second


def _copied(tensor: TensorEvidence) -> bool:
    sames = [max(tensor.equal[i - 1], tensor.cast_equal[i - 1]) for i in tensor.present if i]
    return tensor.finite > 0 and max(sames, default=0) == tensor.finite


def _hidden(mixture: Mixture) -> bool:
    found = mixture.comparison
    return not isinstance(found, Absent) and found.scale > MOST_STEPS * found.coarse_step


def _powers(log: float) -> str:
    """An e-value in words that neither overflow nor pretend to digits."""
    power = log / math.log(10.0)
    return f"{math.exp(log):.2g}" if -2.0 < power < 4.0 else f"10^{power:.0f}"


def _weight(mixtures: Sequence[Mixture]) -> Estimate | Absent:
    """Of the first parent: what all exact matrices allow, else pooled over matrices."""
    exact = [m for m in mixtures if _is_exact(m)]
    if exact and len(exact) == len(mixtures):
        low, high = max(m.low for m in exact), min(m.high for m in exact)
        if low <= high:
            return Estimate((low + high) / 2.0, low, high, 1.0)
    ends = [e for m in mixtures if (e := _ends(m)) is not None]
    if len(ends) < 2 or 2 * len(ends) < len(mixtures):
        return Absent("fewer than two matrices, or than half of them, have an interval of their own")
    pooled = hartung_knapp([m for m, _ in ends], [v for _, v in ends])
    return Estimate(pooled.estimate, pooled.low, pooled.high, 0.95)


def _ends(mixture: Mixture) -> tuple[float, float] | None:
    """A weight and its variance."""
    if mixture.consistency == 1.0:
        return (mixture.low + mixture.high) / 2.0, ((mixture.high - mixture.low) / 4.0) ** 2
    found = mixture.comparison
    if (
        isinstance(found, Absent)
        or isinstance(found.alpha_low, Absent)
        or isinstance(found.alpha_high, Absent)
    ):
        return None
    return found.alpha, ((found.alpha_high - found.alpha_low) / 3.92) ** 2
