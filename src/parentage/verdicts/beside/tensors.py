"""What each tensor says on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from parentage.records.absence import Absent
from parentage.records.evidence import Mixture, ReplayTensor, TensorEvidence, WeightSet
from parentage.verdicts.blends.blend_tests import (
    Tested,
    correlations,
    explains_all,
    grid_is_visible,
    passes_alone,
    replay_passes,
)
from parentage.verdicts.readings import (
    ELIGIBLE_INFORMATIVE,
    RELATED,
    Readings,
    is_matrix,
    relative_distance,
)

__all__ = ["TensorReading", "along_parents", "read_tensor", "read_tensors"]

NOT_TESTED = Absent("no blend of these parents was measured here")


@dataclass(frozen=True, slots=True)
class TensorReading:
    """One tensor's relation to the models, with the numbers it rests on.

    ``kind``: copy, cast-copy, quantized-copy, exact (a replayed blend), blend (one weight explains all,
    not replayed), changed (a stored blend with something after), shared (the parents agree and so does the
    suspect), near (closest to one model), unrelated, silent (nothing can be said).
    """

    tensor: TensorEvidence
    kind: str
    relation: str
    model: int | None
    mixture: Mixture | None
    replay: ReplayTensor | None
    weight_set: WeightSet | None = None
    """Three or more parents' weights, where the suspect is read as a blend of so many."""
    replay_alike: bool = True
    """Was the recipe that was replayed one of the parents that the likelihoods speak of?"""

    @property
    def eligible(self) -> bool:
        """A matrix with enough informative elements to be judged as a blend."""
        informative = self.replay.informative if self.replay else 0
        if self.mixture is not None:
            informative = max(informative, self.mixture.informative)
        if self.weight_set is not None:
            informative = max(informative, self.weight_set.elements)
        return is_matrix(self.tensor) and informative >= ELIGIBLE_INFORMATIVE

    @property
    def tested(self) -> Tested | Absent:
        """The two likelihoods of the parents that the suspect is read as a blend of."""
        if self.weight_set is not None and self.mixture is None:
            return self.weight_set.comparison
        return NOT_TESTED if self.mixture is None else self.mixture.comparison


def along_parents(tensors: Sequence[TensorReading]) -> float:
    """The change's correlation with a parent's difference to the rest, median over matrices, of the parent
    for which it is largest."""
    tested = [t.tested for t in tensors]
    rows = [correlations(c) for c in tested if not isinstance(c, Absent)]
    several = max((len(row) for row in rows), default=0)
    columns = zip(*(row for row in rows if len(row) == several), strict=True)
    return max((median(column) for column in columns), key=abs, default=0.0)


def read_tensors(readings: Readings) -> tuple[TensorReading, ...]:
    """Every examined tensor's own story."""
    return tuple(read_tensor(readings, t) for t in readings.evidence.tensors)


def read_tensor(readings: Readings, tensor: TensorEvidence) -> TensorReading:
    """The strongest relation that one tensor supports by itself."""
    pair = readings.pair
    mixture = readings.mixture(tensor, 0, pair) if pair else None
    replay = readings.replayed.get(tensor.name)
    weight_set = readings.weight_set(tensor, 0)
    if readings.blended and not _two_suffice(weight_set):
        # Of several parents, two say nothing.
        mixture = None
    tested = set(readings.blended or readings.pair or ())
    alike = readings.replay is not None and set(readings.replay.parents) == tested
    reading = TensorReading(tensor, "silent", "undetermined", None, mixture, replay, weight_set, alike)
    kind, relation, model = _classify(readings, reading)
    return replace(reading, kind=kind, relation=relation, model=model)


def _two_suffice(found: WeightSet | None) -> bool:
    """Were three or more parents asked for, and two of them found to explain the tensor as well?"""
    return found is not None and not found.feasible and isinstance(found.comparison, Absent)


def _classify(readings: Readings, reading: TensorReading) -> tuple[str, str, int | None]:
    tensor, replay, tested = reading.tensor, reading.replay, reading.tested
    if tensor.finite == 0:
        return "silent", "undetermined", None
    copied = _copied(readings, tensor)
    exact = replay is not None and _exact(replay)
    if copied is not None:
        # Vectors of one grid step's difference often equal a parent and the blend as well.
        return ("shared", *copied[1:]) if exact and _is_common(readings, replay) else copied
    if exact:
        return "exact", "linear-merge", None
    if _explained(reading):
        return "blend", "linear-merge", None
    alone = is_matrix(tensor) and passes_alone(tested)
    together = reading.replay_alike and replay_passes(replay)
    if alone or (together and grid_is_visible(tested)):
        return "changed", "linear-merge", None
    return _nearest(readings, tensor)


def _is_common(readings: Readings, replay: ReplayTensor | None) -> bool:
    """Was the tensor replayed with the weights of the whole model?"""
    whole = readings.replay
    return replay is not None and whole is not None and replay.weights == whole.weights


def _copied(readings: Readings, tensor: TensorEvidence) -> tuple[str, str, int | None] | None:
    order = [*readings.parents, *(i for i in readings.others if i not in readings.parents)]
    equal = [i for i in order if i in tensor.present and tensor.equal[i - 1] == tensor.finite]
    if equal:
        shared = len([i for i in equal if i in readings.parents]) > 1
        return ("shared" if shared else "copy"), "copy", equal[0]
    coded = _coded(readings, tensor)
    if coded is not None:
        return "quantized-copy", "quantized-copy", coded
    for i in order:
        if i in tensor.present and tensor.cast_equal[i - 1] == tensor.finite:
            return "cast-copy", "cast-copy", i
    return None


def _coded(readings: Readings, tensor: TensorEvidence) -> int | None:
    """The model that gives every code of the tensor, where one does alone."""
    found = readings.coded.get(tensor.name)
    if found is None:
        return None
    whole = [i for i in found.present if found.matches[i - 1] == found.codes]
    return whole[0] if len(whole) == 1 else None


def _exact(replay: ReplayTensor) -> bool:
    """Every element, and the blend is one: a weight of 0 or 1 is a copy and was caught before."""
    return replay.examined > 0 and replay.matches == replay.examined and replay.informative > 0


def _explained(reading: TensorReading) -> bool:
    """One weight, or one set of weights, for every element, and none of them zero."""
    if reading.weight_set is not None and reading.mixture is None:
        return explains_all(reading.weight_set)
    mixture = reading.mixture
    return (
        mixture is not None
        and mixture.consistency == 1.0
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
