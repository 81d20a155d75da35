"""The decision rule for a stored blend with something after: one tensor, two parents or more.

See docs/calibration.md for its error rates.
"""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.evidence import Comparison, ReplayTensor, SetComparison, WeightSet

__all__ = [
    "ALONG_PARENTS",
    "LATER_CHANGE",
    "Tested",
    "correlations",
    "explains_all",
    "grid_is_visible",
    "is_blend",
    "lead_needed",
    "objection_to",
    "passes_alone",
    "passes_later_change",
    "replay_passes",
    "size_of_change",
]

Tested = Comparison | SetComparison

# On a real training run its imitators lead by at most 14 in a matrix, and only at weights within .01 of a
# parent's own.
LATER_CHANGE_DELTA_LL = 10.0
LATER_CHANGE_DROP = 10.0
ALONE_DELTA_LL = 30.0
# Real training on text like a parent's drifted by .05 to .11 of the parents' difference; imitators that
# passed without this bound did so with .13 to .55.
LATER_CHANGE_DRIFT = 0.12
# A change larger than this many of the blend's coarse grid steps leaves no grid to be seen. Real training
# for 80 steps left .5 to 1.1; the lines that weight decay alone draws among float32 siblings 4 to 10.
MOST_STEPS = 1.5
# Nearer to 0 or 1 the replay is the parent itself but for a few elements.
LATER_CHANGE_ENDS = 0.04
# An average over a run in 16 bits lags behind its end by a few percent of the way, as a blend near an end
# does: planted ones led by up to 33 there.
NEAR_ENDS = 0.1
NEAR_ENDS_DELTA_LL = 40.0
# Averages over runs, siblings and other revisions change along the parents' difference: where they led, by
# .38 and more. Planted later changes correlate with it by at most .08, real training steps by .30.
ALONG_PARENTS = 0.35
LATER_CHANGE = "linear-merge, changed later"


def passes_later_change(tested: Tested | Absent) -> bool:
    """The rule on one tensor: on the grid of its own replay, and not at a parent's own weight."""
    return objection_to(tested) == ""


def objection_to(tested: Tested | Absent) -> str:
    """Why a tensor does not pass, in words that follow "in N matrices"; empty where it does.

    A change of a whole grid step blurs the grid (what is left of it falls as exp(-2 pi^2 (s/step)^2)),
    so that a lead there is another regularity's: weight decay alone puts float32 siblings on one line.
    """
    if isinstance(tested, Absent):
        return "the likelihoods were not compared"
    lattice = tested.lattice_lead
    drift = max((abs(x) for x in _drift(tested)), default=0.0)
    rules = (
        (tested.delta_ll >= lead_needed(_weights(tested)), "no grid of a stored blend leads"),
        (min(_drops(tested), default=0.0) >= LATER_CHANGE_DROP, "fewer parents explain the grid as well"),
        (
            not isinstance(lattice, Absent) and lattice >= LATER_CHANGE_DELTA_LL,
            "other values of the same grid do as well as the nearest",
        ),
        (
            tested.scale <= MOST_STEPS * tested.coarse_step,
            f"the change exceeds {MOST_STEPS} grid steps, which leaves no grid to be seen",
        ),
        (
            drift <= LATER_CHANGE_DRIFT,
            f"the change moved along the parents' difference by more than {LATER_CHANGE_DRIFT}",
        ),
        (
            is_blend(_weights(tested)),
            f"a weight lies outside {LATER_CHANGE_ENDS} to {1 - LATER_CHANGE_ENDS}",
        ),
    )
    return next((why for holds, why in rules if not holds), "")


def lead_needed(weights: Sequence[float]) -> float:
    """The lead of R over G that a blend of these weights must have."""
    near = any(w < NEAR_ENDS or w > 1.0 - NEAR_ENDS for w in weights)
    return NEAR_ENDS_DELTA_LL if near else LATER_CHANGE_DELTA_LL


def _drops(tested: Tested) -> tuple[float, ...]:
    if isinstance(tested, Comparison):
        return (tested.drop_at_zero, tested.drop_at_one)
    return tested.drops


def _drift(tested: Tested) -> tuple[float, ...]:
    return (tested.drift,) if isinstance(tested, Comparison) else tested.drift


def _weights(tested: Tested) -> tuple[float, ...]:
    return (tested.alpha, 1.0 - tested.alpha) if isinstance(tested, Comparison) else tested.weights


def correlations(tested: Tested) -> tuple[float, ...]:
    """Of the change with each parent less the blend of the others; one number for two parents."""
    return (tested.residual_correlation,) if isinstance(tested, Comparison) else tested.correlations


def is_blend(weights: Sequence[float]) -> bool:
    """All parents' weights lie inside 0 and 1, none so near that the replay is a parent itself.

    An extrapolation (a weight below 0 or above 1) is accepted by exact replay alone: a likelihood whose
    change may drift finds the parents' own grids there (an average over a run, at -.15).
    """
    return all(LATER_CHANGE_ENDS <= w <= 1.0 - LATER_CHANGE_ENDS for w in weights)


def replay_passes(replay: ReplayTensor | None) -> bool:
    """The same rule for the one recipe that was replayed on every tensor."""
    if replay is None or isinstance(replay.fit, Absent):
        return False
    drift = max((abs(x) for x in replay.fit.drift), default=0.0)
    small = drift <= LATER_CHANGE_DRIFT
    return small and replay.fit.delta_ll >= lead_needed(replay.weights) and is_blend(replay.weights)


def grid_is_visible(tested: Tested | Absent) -> bool:
    """May the one recipe's lead be believed here: grid and walk as for weights of its own?"""
    return (
        not isinstance(tested, Absent)
        and tested.scale <= MOST_STEPS * tested.coarse_step
        and not isinstance(tested.lattice_lead, Absent)
        and tested.lattice_lead >= LATER_CHANGE_DELTA_LL
    )


def size_of_change(tested: Tested) -> tuple[float, float]:
    """Root mean square of the change, in weight units, and its standard error.

    The Gaussian's scale is that, and uses all elements; a Student t₂'s is not. Where too few elements are
    fine enough for a moment the scale has to do, and may be half of the size.
    """
    measured, error = tested.change_rms, tested.change_rms_error
    if isinstance(measured, Absent) or isinstance(error, Absent):
        return tested.scale, tested.scale / 2.0
    if tested.family == "gaussian":
        return tested.scale, error
    return measured, error


def passes_alone(tested: Tested | Absent) -> bool:
    """With weights of its own, not those replayed on all: the lead must be past a search's luck."""
    found = passes_later_change(tested)
    return found and not isinstance(tested, Absent) and tested.delta_ll >= ALONE_DELTA_LL


def explains_all(found: WeightSet) -> bool:
    """One set of weights explains every element, and no parent of it may be left out."""
    return found.feasible and all(not a <= 0.0 <= b for a, b in zip(found.low, found.high, strict=True))
