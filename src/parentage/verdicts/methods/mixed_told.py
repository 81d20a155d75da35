"""A mixed merge's place in the report: every part with its rule, and what came after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from parentage.numerics.shares.intervals_binomial import clopper_pearson, smallest_detectable_share
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.estimate import Estimate
from parentage.records.recognition import MethodReplay, Recognition
from parentage.records.report import (
    Control,
    Direction,
    ExcludedCause,
    Novelty,
    PartVerdict,
    PostTraining,
    Replay,
    Report,
    TensorVerdict,
    VerdictParent,
)
from parentage.verdicts.methods.courses_told import courses_heterogeneity
from parentage.verdicts.methods.mixed import TAKEN_OVER, mixed_parts, part_rule, where_words
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["Mixed", "mixed_after", "mixed_story", "with_mixed"]

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Mixed:
    """The chosen weighing is that of these parts."""

    readings: Readings
    parts: tuple[MethodReplay, ...]


def mixed_story(readings: Readings, chosen: Weighing) -> Mixed | None:
    """None where the verdict rests on something else."""
    if chosen.relation != "mixed-merge" or chosen.status is not Status.SUPPORTED:
        return None
    return Mixed(readings, mixed_parts(readings))


def mixed_after(story: Mixed) -> PostTraining:
    """Every element of every part equals its replay: nothing came after the parts were put together."""
    total = sum(t.informative for p in story.parts for t in p.tensors)
    low, high = clopper_pearson(0, total, level=LEVEL)
    seen = (
        f"a change of {smallest_detectable_share(total, power=0.99):.2g} of the {total:,} elements that "
        f"were replayed would have been seen with 99 % power"
    )
    none = Absent("no element differs from the replay: there is no change to measure the size of")
    why = "nothing is left to explain: every element equals its part's replay"
    causes = tuple(ExcludedCause(c, why) for c in ("another arithmetic", "another revision of a parent"))
    return PostTraining("not-detected", none, Estimate(0.0, low, high, LEVEL), causes, seen)


def with_mixed(report: Report, story: Mixed) -> Report:
    """The report with each part told, and the numbers of all parts together."""
    part_of = {t.name: p for p in story.parts for t in p.tensors}
    verdict = replace(report.verdict, parents=_parents(story), parts=_parts(story))
    return replace(
        report,
        verdict=verdict,
        replay=_replay(story),
        novelty=Novelty(0.0),
        direction=Direction(1.0, Absent("a merge in parts is not run backwards")),
        controls=tuple(_control(story, c) for c in report.controls),
        tensors=tuple(_tensor(t, part_of) for t in report.tensors),
        heterogeneity=courses_heterogeneity(story.readings, story.parts),
    )


def _parents(story: Mixed) -> tuple[VerdictParent, ...]:
    models = dict.fromkeys(k for p in story.parts for k in p.operands)
    reason = Absent("each part has shares of its own")
    return tuple(VerdictParent(story.readings.name(k), reason) for k in models)


def _parts(story: Mixed) -> tuple[PartVerdict, ...]:
    return tuple(
        PartVerdict(where_words(p.where), p.relation, f"{_count(p)}: {part_rule(story.readings, p)}.")
        for p in story.parts
    )


def _count(part: MethodReplay) -> str:
    return "1 tensor" if len(part.tensors) == 1 else f"{len(part.tensors)} tensors"


def _replay(story: Mixed) -> Replay:
    rules = [p for p in story.parts if p.method != TAKEN_OVER]
    informative = sum(p.informative for p in rules)
    return Replay(
        method="mixed",
        arithmetic=", ".join(dict.fromkeys(p.arithmetic for p in rules)),
        match=sum(p.matches for p in rules) / informative,
        informative_elements=informative,
        parameters={
            "parts": [_part(story, p) for p in story.parts],
            "established": True,
            "all_elements": all(p.whole for p in story.parts),
        },
        alternatives=(),
    )


def _part(story: Mixed, part: MethodReplay) -> dict[str, Any]:
    name = story.readings.name
    return {
        "where": to_plain(part.where),
        "method": part.method,
        "arithmetic": part.arithmetic,
        "dtype": part.dtype,
        "parents": [name(k) for k in part.operands],
        "base": part.base if isinstance(part.base, Absent) else name(part.operands[part.base]),
        "each": [dict(row) for row in part.numbers.each],
        "shared": dict(part.numbers.shared),
        "ranges": [to_plain(r) for r in part.ranges],
        "courses": [to_plain(c) for c in part.courses],
        "tensors": len(part.tensors),
        "match": part.matches / part.informative if part.informative else 1.0,
    }


def _control(story: Mixed, control: Control) -> Control:
    """The part's recipe that gives most of the control, in place of the blend's."""
    found = story.readings.evidence.recognition
    assert isinstance(found, Recognition)
    names = [m.name for m in story.readings.evidence.models]
    own = [
        p.matches / p.informative
        for p in found.parts
        if p.subject and names[p.subject] == control.name and p.informative
    ]
    if not own:
        return replace(control, match=Absent("a shuffled suspect is not replayed by this method"))
    return replace(control, match=max(own))


def _tensor(told: TensorVerdict, part_of: Mapping[str, MethodReplay]) -> TensorVerdict:
    part = part_of.get(told.name)
    if part is None:
        return told
    found = next(t for t in part.tensors if t.name == told.name)
    taken = part.method == TAKEN_OVER
    match = found.matches / found.informative if found.informative else told.match
    return replace(
        told,
        relation="copy" if taken else part.relation if found.informative else told.relation,
        match=match,
        weights=(),
        elements_examined=max(told.elements_examined, found.elements),
    )
