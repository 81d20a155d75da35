"""Put a verdict and all that stands beside it into one Report."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.alignment import NO_LOOK
from parentage.records.estimate import Estimate
from parentage.records.evidence import Evidence, ModelPin, ModelRole
from parentage.records.report import (
    ArithmeticMatch,
    Control,
    Coverage,
    Direction,
    ModelInput,
    NotExamined,
    Novelty,
    PartVerdict,
    PostTraining,
    Replay,
    Report,
    Rival,
    Suspect,
    TensorVerdict,
    Verdict,
    VerdictParent,
)
from parentage.verdicts.beside.claims import contradicts
from parentage.verdicts.beside.described import (
    consistency_curve,
    differences,
    dtypes,
    least_squares,
    merge_tests,
    offset_histogram,
    quiet_rows,
    spectra,
)
from parentage.verdicts.beside.layers import layer_places
from parentage.verdicts.beside.limits import general_limits, layer_limits
from parentage.verdicts.beside.merge_claims import claim_notes
from parentage.verdicts.beside.orders import reorderings
from parentage.verdicts.beside.parts import tell_parts
from parentage.verdicts.beside.previous import compare_previous
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.blends.blend_tests import size_of_change
from parentage.verdicts.blends.courses import heterogeneity
from parentage.verdicts.blends.post_training import judge_later_change, strata
from parentage.verdicts.blends.weights import model_weights, tensor_weights
from parentage.verdicts.methods.mixed_told import mixed_after, mixed_story, with_mixed
from parentage.verdicts.methods.pattern_told import pattern_after, pattern_story, with_pattern
from parentage.verdicts.methods.told import method_after, method_story, with_method
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.quantized_merges import later_change_of_codes, replay_of_codes
from parentage.verdicts.sentences import verdict_sentence
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["assemble"]

COPIES = ("copy", "cast-copy", "quantized-copy")


def assemble(
    readings: Readings,
    tensors: Sequence[TensorReading],
    weighings: Sequence[Weighing],
    chosen: Weighing,
    claim: str | None,
) -> Report:
    """Everything that the contract of the report names."""
    evidence = readings.evidence
    merge = next((w for w in weighings if w.relation == "linear-merge" and not w.weights), None)
    supported = merge if chosen is merge else None
    quantized = evidence.quantized
    if chosen.weights and not isinstance(quantized, Absent):
        after = later_change_of_codes(quantized)
    else:
        after = judge_later_change(supported, tensors)
    story, pattern = method_story(readings, chosen), pattern_story(readings, chosen)
    mixed = mixed_story(readings, chosen)
    after = method_after(story) if story else pattern_after(pattern) if pattern else after
    after = after if mixed is None else mixed_after(mixed)
    parents = _parents(readings, tensors, chosen)
    covered = evidence.coverage.elements_examined
    if story is not None or mixed is not None:
        # What such a verdict says rests on the replay, which reads whole tensors.
        covered = max(covered, evidence.coverage.elements_replayed)
    limits = (*chosen.limits, *layer_limits(readings, chosen), *general_limits(readings, covered))
    verdict = _verdict(readings, chosen, weighings, parents, after, claim, tensors, limits)
    blend = chosen.models if chosen.relation == "linear-merge" else (readings.pair or ())
    report = Report(
        tool=dict(evidence.tool),
        asked=dict(evidence.asked),
        used=dict(evidence.used),
        suspect=_suspect(readings),
        verdict=verdict,
        post_training=after,
        replay=replay_of_codes(readings) if chosen.weights else _replay(readings, supported),
        novelty=_novelty(readings, chosen),
        direction=_direction(readings),
        controls=_controls(readings),
        coverage=_coverage(evidence, covered),
        tensors=tuple(_tensor(t, blend) for t in tensors),
        parents=tuple(
            _model(readings, i)
            for i, m in enumerate(evidence.models)
            if i and m.role is not ModelRole.SHUFFLED
        ),
        strata=strata(tensors) if readings.replay else Absent("nothing was replayed"),
        consistency_curve=consistency_curve(readings),
        offset_histogram=offset_histogram(readings),
        least_squares=least_squares(readings),
        heterogeneity=heterogeneity(readings, tensors, blend) if blend else Absent("no blend was measured"),
        quiet_rows=quiet_rows(readings),
        spectrum=spectra(readings),
        merge_tests=merge_tests(readings, tensors),
        differences=differences(readings, chosen.models),
        previous=compare_previous(readings),
        notes=(*evidence.notes, *claim_notes(readings, chosen, parents)),
        layers=layer_places(readings),
        reading=evidence.reading,
        reorderings=reorderings(readings),
    )
    if pattern is not None:
        return with_pattern(report, pattern)
    if mixed is not None:
        return with_mixed(report, mixed)
    return report if story is None else with_method(report, story)


def _parents(
    readings: Readings, tensors: Sequence[TensorReading], chosen: Weighing
) -> tuple[VerdictParent, ...]:
    if chosen.weights:
        found = zip(chosen.models, chosen.weights, strict=True)
        return tuple(VerdictParent(readings.name(i), weight) for i, weight in found)
    if chosen.relation == "linear-merge":
        return model_weights(readings, tensors, chosen.models)
    whole = Estimate(1.0, 1.0, 1.0, 1.0)
    if chosen.relation in COPIES:
        return (VerdictParent(readings.name(chosen.models[0]), whole),)
    reason = Absent("a relation without shares")
    if chosen.relation in ("independent", "undetermined"):
        return ()
    return tuple(VerdictParent(readings.name(i), reason) for i in chosen.models)


def _verdict(
    readings: Readings,
    chosen: Weighing,
    weighings: Sequence[Weighing],
    parents: tuple[VerdictParent, ...],
    after: PostTraining,
    claim: str | None,
    tensors: Sequence[TensorReading],
    limits: tuple[str, ...],
) -> Verdict:
    relation, status = chosen.relation, chosen.status.value
    sentence = verdict_sentence(readings, chosen, parents, after)
    supported = chosen.status is Status.SUPPORTED
    if claim is not None and supported and contradicts(chosen.relation, after.status, claim):
        relation, status = claim, Status.CONTRADICTED.value
        sentence = f"The claim “{claim}” is contradicted: {sentence}"
    excluded = [Rival(name, why) for name, why in chosen.excluded]
    live = [Rival(name, Absent(why)) for name, why in chosen.live]
    named = {r.relation for r in (*excluded, *live)} | {chosen.relation}
    weaker = [
        Rival(w.relation, Absent(w.against) if chosen.status is not Status.SUPPORTED else w.against)
        for w in weighings
        if w.against and w.relation not in named
    ]
    return Verdict(
        relation=relation,
        status=status,
        sentence=sentence,
        parents=parents,
        rivals=tuple(excluded + live + weaker),
        limits=limits,
        parts=tuple(PartVerdict(*p) for p in tell_parts(readings, tensors, chosen)),
        given=chosen.given,
    )


def _digests(pin: ModelPin) -> dict[str, str | Absent]:
    return {shard.name: shard.sha256 for shard in pin.shards}


def _suspect(readings: Readings) -> Suspect:
    pin = readings.evidence.models[0]
    return Suspect(pin.locator, pin.revision, _digests(pin), dtypes(readings, 0))


def _model(readings: Readings, model: int) -> ModelInput:
    pin = readings.evidence.models[model]
    return ModelInput(
        pin.name, pin.role.value, pin.locator, pin.revision, _digests(pin), dtypes(readings, model)
    )


def _replay(readings: Readings, supported: Weighing | None) -> Replay | Absent:
    own = readings.replay
    if own is None:
        return Absent("no recipe was replayed: no two parents could be blended")
    names = [readings.name(i) for i in own.parents]
    return Replay(
        method="linear",
        arithmetic=own.arithmetic,
        match=own.informative_matches / own.informative if own.informative else 0.0,
        informative_elements=own.informative,
        parameters={
            "parents": names,
            "weights": list(own.weights),
            "label": own.label,
            "cast": own.cast,
            "established": supported is not None,
            "all_elements": own.full,
            "indistinguishable": list(own.indistinguishable),
        },
        alternatives=tuple(
            ArithmeticMatch(a.arithmetic, a.matches / a.elements if a.elements else 0.0)
            for a in own.alternatives
        ),
    )


def _novelty(readings: Readings, chosen: Weighing) -> Novelty:
    if chosen.relation in COPIES:
        return Novelty(0.0)
    if chosen.weights:
        coded = replay_of_codes(readings)
        exact = not isinstance(coded, Absent) and coded.match == 1.0
        return Novelty(0.0 if exact else Absent("some codes are not those of the blend"))
    own = readings.replay
    examined = sum(t.examined for t in own.tensors) if own else 0
    if own is None or examined == 0:
        return Novelty(Absent("no explanation was replayed that bits could be counted against"))
    # Offsets from a blend that explains nothing are as many as the values, and no more novel than they.
    bits = sum(min(t.novel_bits, t.own_bits) * t.examined for t in own.tensors) / examined
    whole = sum(t.own_bits * t.examined for t in own.tensors) / examined
    return Novelty(bits, whole)


def _direction(readings: Readings) -> Direction:
    own = readings.replay
    if own is None or own.informative == 0:
        reason = Absent("no recipe was replayed")
        return Direction(reason, reason)
    backward: float | Absent = Absent("no first parent could be rebuilt")
    if own.backward_informative:
        backward = own.backward_matches / own.backward_informative
    return Direction(own.informative_matches / own.informative, backward)


def _controls(readings: Readings) -> tuple[Control, ...]:
    return tuple(_control(readings, i) for i in readings.controls)


def _control(readings: Readings, control: int) -> Control:
    pair = readings.pair
    found = [] if pair is None else [readings.mixture(t, control, pair) for t in readings.matrices]
    known = [m for m in found if m is not None and m.informative]
    consistency: float | Absent = Absent("no blend was measured")
    weight = Absent("no weight explains this control")
    if known:
        consistency = sum(m.count for m in known) / sum(m.informative for m in known)
    replay = next((r for r in readings.evidence.replays if r.subject == control), None)
    match: float | Absent = Absent("not replayed")
    if replay is not None and replay.informative:
        match = replay.informative_matches / replay.informative
    real = readings.evidence.models[control].role is ModelRole.CONTROL
    return Control(readings.name(control), consistency, match, weight, real)


def _coverage(evidence: Evidence, covered: int) -> Coverage:
    c = evidence.coverage
    return Coverage(
        tensors=c.tensors,
        tensors_examined=c.tensors_examined,
        elements=c.elements,
        elements_examined=covered,
        bytes_read=c.bytes_read,
        not_examined=tuple(NotExamined(n.tensor, n.reason) for n in c.not_examined),
        order_look=NO_LOOK if isinstance(evidence.alignment, Absent) else evidence.alignment.look,
    )


def _tensor(reading: TensorReading, parents: Sequence[int]) -> TensorVerdict:
    tensor, replay, mixture = reading.tensor, reading.replay, reading.mixture
    sigma: float | Absent = Absent("no later change was measured here")
    tested = reading.tested
    if not isinstance(tested, Absent) and tensor.spread:
        sigma = size_of_change(tested)[0] / tensor.spread
    match: float | Absent = Absent("not replayed, or the parents are equal here")
    if replay is not None and replay.informative:
        match = replay.informative_matches / replay.informative
    consistency: float | Absent = Absent("no blend was measured here")
    if reading.weight_set is not None:
        consistency = reading.weight_set.consistency
    elif mixture is not None and mixture.informative:
        consistency = mixture.consistency
    return TensorVerdict(
        name=tensor.name,
        role=tensor.role,
        layer=tensor.layer,
        component=tensor.component,
        elements_examined=tensor.finite,
        weights=tensor_weights(reading, parents) if parents else (),
        consistency=consistency,
        match=match,
        sigma_relative=sigma,
        relation=reading.relation,
    )
