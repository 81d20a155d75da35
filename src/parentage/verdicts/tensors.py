"""What each tensor says on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.evidence import Comparison, Mixture, ReplayTensor, TensorEvidence
from parentage.verdicts.readings import (
    ELIGIBLE_INFORMATIVE,
    RELATED,
    Readings,
    is_matrix,
    relative_distance,
)

__all__ = [
    "LATER_CHANGE",
    "TensorReading",
    "is_blend",
    "passes_later_change",
    "read_tensor",
    "read_tensors",
    "replay_passes",
]

# The decision rule for a stored merge with something after (docs/calibration.md): on a real training run
# its imitators lead by at most 14 in a matrix, and only at weights within .01 of a parent's own.
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
LATER_CHANGE_ENDS = 0.02
LATER_CHANGE = "linear-merge, changed later"


@dataclass(frozen=True, slots=True)
class TensorReading:
    """One tensor's relation to the models, with the numbers it rests on.

    ``kind``: copy, cast-copy, exact (a replayed blend), blend (one weight explains all, not replayed),
    changed (a stored blend with something after), shared (the parents agree and so does the suspect),
    near (closest to one model), unrelated, silent (nothing can be said).
    """

    tensor: TensorEvidence
    kind: str
    relation: str
    model: int | None
    mixture: Mixture | None
    replay: ReplayTensor | None

    @property
    def eligible(self) -> bool:
        """A matrix with enough informative elements to be judged as a blend."""
        informative = self.replay.informative if self.replay else 0
        if self.mixture is not None:
            informative = max(informative, self.mixture.informative)
        return is_matrix(self.tensor) and informative >= ELIGIBLE_INFORMATIVE


def passes_later_change(comparison: Comparison | Absent) -> bool:
    """The rule on one tensor: on the grid of its own replay, and not at a parent's own weight.

    A change of a whole grid step blurs the grid (what is left of it falls as exp(-2 pi^2 (s/step)^2)),
    so that a lead there is another regularity's: weight decay alone puts float32 siblings on one line.
    """
    if isinstance(comparison, Absent):
        return False
    return (
        comparison.delta_ll >= LATER_CHANGE_DELTA_LL
        and comparison.drop_at_zero >= LATER_CHANGE_DROP
        and comparison.drop_at_one >= LATER_CHANGE_DROP
        and comparison.scale <= MOST_STEPS * comparison.coarse_step
        and abs(comparison.drift) <= LATER_CHANGE_DRIFT
        and not isinstance(comparison.lattice_lead, Absent)
        and comparison.lattice_lead >= LATER_CHANGE_DELTA_LL
        and is_blend((comparison.alpha, 1.0 - comparison.alpha))
    )


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
    return small and replay.fit.delta_ll >= LATER_CHANGE_DELTA_LL and is_blend(replay.weights)


def _visible(comparison: Comparison | Absent) -> bool:
    """May the one recipe's lead be believed here: grid, walk and drift as for a weight of its own?"""
    return (
        not isinstance(comparison, Absent)
        and comparison.scale <= MOST_STEPS * comparison.coarse_step
        and not isinstance(comparison.lattice_lead, Absent)
        and comparison.lattice_lead >= LATER_CHANGE_DELTA_LL
    )


def _passes_alone(comparison: Comparison | Absent) -> bool:
    """With a weight of its own, not the one replayed on all: the lead must be past a search's luck."""
    found = passes_later_change(comparison)
    return found and not isinstance(comparison, Absent) and comparison.delta_ll >= ALONE_DELTA_LL


def read_tensors(readings: Readings) -> tuple[TensorReading, ...]:
    """Every examined tensor's own story."""
    return tuple(read_tensor(readings, t) for t in readings.evidence.tensors)


def read_tensor(readings: Readings, tensor: TensorEvidence) -> TensorReading:
    """The strongest relation that one tensor supports by itself."""
    pair = readings.pair
    mixture = readings.mixture(tensor, 0, pair) if pair else None
    replay = readings.replayed.get(tensor.name)
    kind, relation, model = _classify(readings, tensor, mixture, replay)
    return TensorReading(tensor, kind, relation, model, mixture, replay)


def _classify(
    readings: Readings,
    tensor: TensorEvidence,
    mixture: Mixture | None,
    replay: ReplayTensor | None,
) -> tuple[str, str, int | None]:
    if tensor.finite == 0:
        return "silent", "undetermined", None
    copied = _copied(readings, tensor)
    common = readings.replay is not None and replay is not None and _exact(replay)
    if copied is not None:
        fits = common and replay.weights == readings.replay.weights  # type: ignore[union-attr]
        # Vectors of one grid step's difference often equal a parent and the blend as well.
        return ("shared", *copied[1:]) if fits else copied
    if common:
        return "exact", "linear-merge", None
    if mixture is not None and _blend(mixture):
        return "blend", "linear-merge", None
    own = mixture is not None and is_matrix(tensor) and _passes_alone(mixture.comparison)
    if own or (replay_passes(replay) and mixture is not None and _visible(mixture.comparison)):
        return "changed", "linear-merge", None
    return _nearest(readings, tensor)


def _copied(readings: Readings, tensor: TensorEvidence) -> tuple[str, str, int | None] | None:
    order = [*readings.parents, *(i for i in readings.others if i not in readings.parents)]
    equal = [i for i in order if i in tensor.present and tensor.equal[i - 1] == tensor.finite]
    if equal:
        shared = len([i for i in equal if i in readings.parents]) > 1
        return ("shared" if shared else "copy"), "copy", equal[0]
    for i in order:
        if i in tensor.present and tensor.cast_equal[i - 1] == tensor.finite:
            return "cast-copy", "cast-copy", i
    return None


def _exact(replay: ReplayTensor) -> bool:
    """Every element, and the blend is one: a weight of 0 or 1 is a copy and was caught before."""
    return replay.examined > 0 and replay.matches == replay.examined and replay.informative > 0


def _blend(mixture: Mixture) -> bool:
    return (
        mixture.consistency == 1.0
        and mixture.informative > 0
        and mixture.equal == mixture.equal_agree
        and not mixture.low <= 0.0 <= mixture.high
        and not mixture.low <= 1.0 <= mixture.high
    )


def _nearest(readings: Readings, tensor: TensorEvidence) -> tuple[str, str, int | None]:
    found = []
    for i in readings.others:
        distance = relative_distance(tensor, i)
        if distance is not None and abs(tensor.correlation[i - 1]) >= RELATED:
            found.append((distance, i))
    if found:
        return "near", "fine-tune", min(found)[1]
    if not is_matrix(tensor) or tensor.finite < ELIGIBLE_INFORMATIVE:
        return "silent", "undetermined", None
    return "unrelated", "independent", None
