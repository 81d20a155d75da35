"""An evidence file from elsewhere may have every field and still contradict itself.

Whoever judges it indexes models and divides by counts; what does not fit together is refused here, once,
with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.alignment import AlignmentFindings
from parentage.records.codec import from_plain
from parentage.records.evidence import (
    Comparison,
    Evidence,
    Mixture,
    ModelPin,
    ModelRole,
    Replay,
    SetComparison,
    SharedSweep,
    TensorEvidence,
    WeightSet,
)
from parentage.records.quantized import Quantized, QuantizedBlend
from parentage.records.recognition import Recognition
from parentage.records.recognition_checks import check_recognition

__all__ = ["read_evidence"]

# Suspect, eight parents, base, previous and every candidate that can be tried at once.
MOST_MODELS = 300
MOST_PARENTS = 8
OFFSETS = 17
# Squares of what is larger are no numbers; weights of such a size are in no model.
LARGEST = 1e150


def read_evidence(plain: Mapping[str, Any]) -> Evidence:
    """The evidence of a parsed file.

    Raises ``EvidenceError``: ``record-shape``, ``evidence-inconsistent``; both name the place.
    """
    evidence = from_plain(Evidence, dict(plain))
    _check_models(evidence.models)
    _check_root(evidence)
    real = sum(m.role is not ModelRole.SHUFFLED for m in evidence.models)
    _distinct((t.name for t in evidence.tensors), "$.tensors")
    for tensor in evidence.tensors:
        _check_tensor(tensor, real, len(evidence.models))
    for k, sweep in enumerate(evidence.sweeps):
        _check_sweep(sweep, len(evidence.models), len(evidence.curve_grid), f"$.sweeps[{k}]")
    for k, replay in enumerate(evidence.replays):
        _check_replay(replay, len(evidence.models), f"$.replays[{k}]")
    for k, rows in enumerate(evidence.quiet_rows):
        _index(rows.model, real, f"$.quiet_rows[{k}].model")
        _ordered((rows.exact_rows, rows.quiet, rows.rows), f"$.quiet_rows[{k}]")
    if isinstance(evidence.quantized, Quantized):
        _check_quantized(evidence.quantized, real, len(evidence.models))
    if isinstance(evidence.recognition, Recognition):
        check_recognition(evidence.recognition, real, _wrong)
    _check_coverage(evidence)
    if not isinstance(evidence.alignment, Absent):
        _check_alignment(evidence.alignment, real)
    return evidence


def _check_alignment(found: AlignmentFindings, real: int) -> None:
    where = "$.alignment"
    _length(found.families, real, f"{where}.families")
    for k, layout in enumerate(found.layouts):
        _index(layout.model, real, f"{where}.layouts[{k}].model")
    for k, layers in enumerate(found.layer_maps):
        _index(layers.model, real, f"{where}.layer_maps[{k}].model")
        _length(layers.theirs, len(layers.own), f"{where}.layer_maps[{k}].theirs")
    for k, order in enumerate(found.orders):
        _index(order.model, real, f"{where}.orders[{k}].model")
        for count in (order.moved, order.multiplied, order.scaled):
            _ordered((count, order.units), f"{where}.orders[{k}]")


def _wrong(message: str, where: str) -> EvidenceError:
    return EvidenceError(
        message,
        code="evidence-inconsistent",
        where=where,
        hint="the file was changed after parentage wrote it: fetch it again",
    )


def _check_models(models: Sequence[ModelPin]) -> None:
    roles = [m.role for m in models]
    if not roles or roles[0] is not ModelRole.SUSPECT or roles.count(ModelRole.SUSPECT) != 1:
        raise _wrong("the first model, and no other, must be the suspect", "$.models")
    if ModelRole.SHUFFLED in roles[:-1]:
        raise _wrong("only the last model may be a shuffled control", "$.models")
    if len(roles) > MOST_MODELS or roles.count(ModelRole.PARENT) > MOST_PARENTS:
        raise _wrong(f"more than {MOST_PARENTS} parents or {MOST_MODELS} models", "$.models")
    _distinct((m.name for m in models), "$.models")
    for k, model in enumerate(models):
        _distinct((s.name for s in model.shards), f"$.models[{k}].shards")


def _check_root(evidence: Evidence) -> None:
    """What all others are known to be made from is one of them, and not the suspect or its past."""
    root, known = evidence.used.get("root"), (ModelRole.PARENT, ModelRole.BASE, ModelRole.CONTROL)
    if root is None:
        return
    whole = isinstance(root, int) and not isinstance(root, bool)
    if not whole or not 0 < root < len(evidence.models) or evidence.models[root].role not in known:
        raise _wrong("the root must be the index of a parent, the base or a control", "$.used.root")


def _distinct(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _wrong(f"the name {name!r} occurs twice", where)
        seen.add(name)


def _index(value: int, count: int, where: str) -> None:
    if not 0 <= value < count:
        raise _wrong(f"{value} is the number of no model here", where)


def _ordered(counts: Sequence[int], where: str) -> None:
    if any(b < a for a, b in zip((0, *counts), counts, strict=False)):
        raise _wrong(f"counts that cannot be: {', '.join(map(str, counts))}", where)


def _length(values: Sequence[object], count: int, where: str) -> None:
    if len(values) != count:
        raise _wrong(f"{len(values)} entries where {count} belong", where)


def _check_tensor(tensor: TensorEvidence, real: int, models: int) -> None:
    where = f"$.tensors[{tensor.name}]"
    _length(tensor.dtypes, real, f"{where}.dtypes")
    _length(tensor.effective_dtypes, real, f"{where}.effective_dtypes")
    for name in ("equal", "cast_equal", "correlation", "gram"):
        _length(getattr(tensor, name), real - 1, f"{where}.{name}")
    for row in tensor.gram:
        _length(row, real - 1, f"{where}.gram")
    for model in tensor.present:
        _index(model, real, f"{where}.present")
    _ordered((tensor.finite, tensor.examined, tensor.elements), where)
    for count in (*tensor.equal, *tensor.cast_equal, tensor.parents_all_equal):
        _ordered((count, tensor.finite), where)
    if not 0 <= tensor.spread <= LARGEST:
        raise _wrong("a spread below zero or beyond what squares reach", f"{where}.spread")
    if tensor.square < 0:
        raise _wrong("a sum of squares below zero", f"{where}.square")
    if any(row[k] < 0 for k, row in enumerate(tensor.gram)):
        raise _wrong("a squared distance below zero", f"{where}.gram")
    for k, mixture in enumerate(tensor.mixtures):
        _check_mixture(mixture, models, f"{where}.mixtures[{k}]")
    for k, weights in enumerate(tensor.weights):
        _check_weights(weights, models, f"{where}.weights[{k}]")
    for k, spectrum in enumerate(tensor.spectra):
        _index(spectrum.model, real, f"{where}.spectra[{k}].model")


def _check_mixture(mixture: Mixture, models: int, where: str) -> None:
    for model in (mixture.subject, mixture.first, mixture.second):
        _index(model, models, where)
    _ordered((mixture.count, mixture.informative), where)
    _ordered((mixture.equal_agree, mixture.equal), where)
    if not isinstance(mixture.comparison, Absent):
        _check_size(mixture.comparison, f"{where}.comparison")


def _check_size(both: Comparison | SetComparison, where: str) -> None:
    sizes = (both.scale, both.change_rms, both.change_rms_error)
    if any(not isinstance(size, Absent) and size < 0 for size in sizes):
        raise _wrong("a change of a size below zero", where)


def _check_weights(weights: WeightSet, models: int, where: str) -> None:
    count = len(weights.parents)
    for model in (weights.subject, *weights.parents):
        _index(model, models, where)
    for values in (weights.estimate, weights.low, weights.high):
        _length(values, count, where)
    both = weights.comparison
    if isinstance(both, Absent):
        return
    for values in (both.weights, both.low, both.high, both.free_weights, both.correlations):
        _length(values, count, f"{where}.comparison")
    if both.drops:
        _length(both.drops, count, f"{where}.comparison.drops")
    _length(both.drift, count - 1 if both.sum_to_one else count, f"{where}.comparison.drift")
    _ordered((both.off_replay, both.off_replay_elements), f"{where}.comparison")
    _check_size(both, f"{where}.comparison")


def _check_sweep(sweep: SharedSweep, models: int, points: int, where: str) -> None:
    for model in (sweep.subject, sweep.first, sweep.second):
        _index(model, models, where)
    if sweep.curve:
        _length(sweep.curve, points, f"{where}.curve")
    _ordered((sweep.consistent_tensors, sweep.tensors), where)
    for count in sweep.curve:
        _ordered((count, sweep.informative), f"{where}.curve")


def _check_replay(replay: Replay, models: int, where: str) -> None:
    for model in (replay.subject, *replay.parents):
        _index(model, models, where)
    _length(replay.weights, len(replay.parents), f"{where}.weights")
    _ordered((replay.matches, replay.examined), where)
    _ordered((replay.informative_matches, replay.informative), where)
    _ordered((replay.backward_matches, replay.backward_informative), where)
    _distinct((t.name for t in replay.tensors), f"{where}.tensors")
    for tensor in replay.tensors:
        at = f"{where}.tensors[{tensor.name}]"
        _length(tensor.weights, len(replay.parents), f"{at}.weights")
        _length(tensor.offsets, OFFSETS, f"{at}.offsets")
        _ordered((tensor.matches, tensor.examined), at)
        _ordered((tensor.informative_matches, tensor.informative, tensor.examined), at)
        _ordered(sorted(tensor.offsets), f"{at}.offsets")
        if min(tensor.experts, default=0) < 0 or not set(tensor.experts_off) <= set(tensor.experts):
            raise _wrong("experts off the replay that were not replayed", f"{at}.experts_off")
    for share in replay.alternatives:
        _ordered((share.matches, share.elements), f"{where}.alternatives")


def _check_quantized(found: Quantized, real: int, models: int) -> None:
    _distinct((t.name for t in found.tensors), "$.quantized.tensors")
    for tensor in found.tensors:
        where = f"$.quantized.tensors[{tensor.name}]"
        _length(tensor.matches, real - 1, f"{where}.matches")
        _length(tensor.scale_matches, real - 1, f"{where}.scale_matches")
        for model in tensor.present:
            _index(model, real, f"{where}.present")
        for count in (*tensor.matches, tensor.moved_matches):
            _ordered((count, tensor.codes), where)
        for count in tensor.scale_matches:
            _ordered((count, tensor.scales), where)
        if isinstance(tensor.moved_scale_matches, int):
            _ordered((tensor.moved_scale_matches, tensor.scales), where)
        if tensor.step < 0:
            raise _wrong("a step below zero", f"{where}.step")
    if not isinstance(found.blend, Absent):
        _check_blend(found.blend, models)


def _check_blend(blend: QuantizedBlend, models: int) -> None:
    for model in (*blend.parents, *(c.model for c in blend.controls)):
        _index(model, models, "$.quantized.blend")
    _ordered((blend.consistent, blend.informative), "$.quantized.blend")
    if isinstance(blend.replay, Absent):
        return
    _length(blend.replay.weights, len(blend.parents), "$.quantized.blend.replay.weights")
    if blend.ranges:
        _length(blend.ranges, len(blend.parents), "$.quantized.blend.ranges")
    for row in blend.replay.tensors:
        _ordered((row.matches, row.codes), f"$.quantized.blend.replay.tensors[{row.name}]")
        if isinstance(row.moved_matches, int):
            _ordered((row.moved_matches, row.codes), f"$.quantized.blend.replay.tensors[{row.name}]")
        if row.weights:
            _length(row.weights, len(blend.parents), f"$.quantized.blend.replay.tensors[{row.name}]")
        _ordered((row.informative_matches, row.informative, row.codes), "$.quantized.blend.replay.tensors")


def _check_coverage(evidence: Evidence) -> None:
    coverage = evidence.coverage
    _ordered((coverage.tensors_examined, coverage.tensors), "$.coverage")
    _ordered((coverage.elements_examined, coverage.elements), "$.coverage")
    _ordered((coverage.elements_replayed, coverage.elements), "$.coverage")
    _ordered((coverage.bytes_read,), "$.coverage")
    if coverage.tensors_examined != len(evidence.tensors):
        raise _wrong("another number of tensors than it says", "$.coverage.tensors_examined")
