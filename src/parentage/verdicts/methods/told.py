"""A recognised method's place in the report: replay, parents, what came after, and each tensor's part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from parentage.numerics.shares.intervals_binomial import clopper_pearson, smallest_detectable_share
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.estimate import Estimate
from parentage.records.evidence import ModelRole
from parentage.records.recognition import MethodReplay, MethodTensor, Recognition
from parentage.records.report import (
    ArithmeticMatch,
    Control,
    Direction,
    ExcludedCause,
    Novelty,
    PostTraining,
    Replay,
    Report,
    TensorVerdict,
    VerdictParent,
)
from parentage.verdicts.methods.courses_told import courses_heterogeneity
from parentage.verdicts.methods.replayed import copied_from, explained, method_replay
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["Story", "method_after", "method_story", "with_method"]

LEVEL = 0.95
SHARE_OF = ("t", "weight")


@dataclass(frozen=True, slots=True)
class Story:
    """The chosen weighing is that of this replay."""

    readings: Readings
    replay: MethodReplay


def method_story(readings: Readings, chosen: Weighing) -> Story | None:
    """None where the verdict rests on something else than the recognition pass's replay."""
    found = method_replay(readings)
    mine = found is not None and chosen.relation == found.relation and chosen.models == found.operands
    if found is None or not mine or chosen.status is not Status.SUPPORTED or not chosen.sentence:
        return None
    return Story(readings, found)


def with_method(report: Report, story: Story) -> Report:
    """The report with the method's own numbers in the places that the contract has for them."""
    replay_ = story.replay
    share = replay_.matches / replay_.informative
    tensors = {t.name: t for t in replay_.tensors}
    return replace(
        report,
        verdict=replace(report.verdict, parents=_parents(story)),
        replay=_replay(story),
        novelty=Novelty(0.0 if share == 1.0 else Absent("last bits of a tool are not counted as novel")),
        direction=Direction(share, Absent("a method of this kind is not run backwards")),
        controls=tuple(_control(story, c) for c in report.controls),
        tensors=tuple(_tensor(t, tensors.get(t.name), replay_) for t in report.tensors),
        heterogeneity=courses_heterogeneity(story.readings, (replay_,)),
    )


def _parents(story: Story) -> tuple[VerdictParent, ...]:
    return tuple(
        VerdictParent(story.readings.name(model), _weight(story.replay, place))
        for place, model in enumerate(story.replay.operands)
    )


def _weight(found: MethodReplay, place: int) -> Estimate | Absent:
    """The operand's number as replayed: its weight, or the way t from the base."""
    if not isinstance(found.base, Absent) and place == found.base:
        return Absent("the base, which the changes are added to")
    for known in found.ranges:
        if known.parameter == "weight" and known.operand == place:
            return Estimate(known.value, known.low, known.high, 1.0)
        if known.parameter == "t" and found.method == "slerp":
            return Estimate(known.value, known.low, known.high, 1.0)
    return Absent("the method has no share for each parent")


def _replay(story: Story) -> Replay:
    found = story.replay
    return Replay(
        method=found.method,
        arithmetic=found.arithmetic,
        match=found.matches / found.informative,
        informative_elements=found.informative,
        parameters=_parameters(story),
        alternatives=tuple(
            ArithmeticMatch(f"{r.method}/{r.arithmetic}", r.matches / r.informative)
            for r in (*found.alike, *_rivals(story))
            if r.informative
        ),
    )


def _rivals(story: Story) -> tuple[Any, ...]:
    found = story.readings.evidence.recognition
    return found.rivals if isinstance(found, Recognition) else ()


def _parameters(story: Story) -> dict[str, Any]:
    found, name = story.replay, story.readings.name
    own = {t.name: to_plain(t.own) for t in found.tensors if not isinstance(t.own, Absent)}
    return {
        "parents": [name(k) for k in found.operands],
        "base": found.base if isinstance(found.base, Absent) else name(found.operands[found.base]),
        "each": [dict(row) for row in found.numbers.each],
        "shared": dict(found.numbers.shared),
        "ranges": [to_plain(r) for r in found.ranges],
        "courses": [to_plain(c) for c in found.courses],
        "own": own,
        "label": found.label,
        "dtype": found.dtype,
        "seed": found.seed,
        "established": True,
        "all_elements": found.whole,
        "indistinguishable": [
            f"{r.method}/{r.arithmetic}/{r.dtype} {r.label}".strip() for r in found.alike
        ],
    }


def method_after(story: Story) -> PostTraining:
    """Whether something happened after the method: every element is, or is not, the replay's."""
    found = story.replay
    merged = [t for t in found.tensors if (t.informative and copied_from(t) is None) or explained(t, 1.0)]
    total = sum(t.informative for t in merged)
    off = sum(t.informative - t.matches for t in merged)
    low, high = clopper_pearson(off, total, level=LEVEL)
    share = Estimate(off / total, low, high, LEVEL)
    seen = (
        f"a change of {smallest_detectable_share(total, power=0.99):.2g} of the {total:,} elements that "
        f"were replayed would have been seen with 99 % power"
    )
    if off:
        reason = Absent("last bits differ, as sums in another order leave them, and nothing else")
        rivals = (ExcludedCause("another order of a tool's sums", reason),)
        return PostTraining("undetermined", reason, share, rivals, seen)
    if found.left and story.readings.evidence.used.get("by_range"):
        reason = Absent(f"{found.left:,} tensors were not replayed over a network")
        rivals = (ExcludedCause("a change of tensors that were not read whole", reason),)
        return PostTraining("undetermined", reason, share, rivals, seen)
    none = Absent("no element differs from the replay: there is no change to measure the size of")
    why = "nothing is left to explain: every element equals the replay"
    causes = ("another arithmetic", "another revision of a parent")
    return PostTraining("not-detected", none, share, tuple(ExcludedCause(c, why) for c in causes), seen)


def _control(story: Story, control: Control) -> Control:
    """The method's recipe on the control, in place of the blend's."""
    found = story.readings.evidence.recognition
    replays = found.replays if isinstance(found, Recognition) else ()
    for other in replays:
        model = story.readings.evidence.models[other.subject]
        if model.role is ModelRole.CONTROL and model.name == control.name and other.informative:
            return replace(control, match=other.matches / other.informative)
    return replace(control, match=Absent("a shuffled suspect is not replayed by this method"))


def _tensor(told: TensorVerdict, found: MethodTensor | None, whole: MethodReplay) -> TensorVerdict:
    if found is None or not found.informative:
        return told
    relation = told.relation
    if explained(found, whole.exact):
        relation = whole.relation
    elif copied_from(found) is not None:
        relation = "copy"
    examined = max(told.elements_examined, found.elements)
    match = found.matches / found.informative
    return replace(told, relation=relation, match=match, weights=(), elements_examined=examined)
