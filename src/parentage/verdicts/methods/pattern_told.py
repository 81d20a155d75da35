"""A pattern's place in the report: no replay, and what came after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from parentage.numerics.shares.intervals_binomial import clopper_pearson, smallest_detectable_share
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.recognition import Finding
from parentage.records.report import Direction, ExcludedCause, Novelty, PostTraining, Report
from parentage.verdicts.methods.thinned import pattern_found
from parentage.verdicts.methods.told import method_story
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["Pattern", "pattern_after", "pattern_story", "with_pattern"]

LEVEL = 0.95
RELATIONS = ("dare-merge", "della-merge")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The chosen weighing rests on this finding."""

    found: Finding


def pattern_story(readings: Readings, chosen: Weighing) -> Pattern | None:
    """None where the verdict rests on something else, a replay for one."""
    found = pattern_found(readings)
    if found is None or chosen.status is not Status.SUPPORTED or method_story(readings, chosen) is not None:
        return None
    return Pattern(found) if chosen.relation in RELATIONS and chosen.models == found.models else None


def pattern_after(story: Pattern) -> PostTraining:
    """Every element that was read is one of the pattern's numbers, so that none was changed after it."""
    total = int(story.found.measures["told"])
    low, high = clopper_pearson(0, total, level=LEVEL)
    seen = (
        f"a change of {smallest_detectable_share(total, power=0.99):.2g} of the {total:,} elements that "
        f"tell would have been seen with 99 % power"
    )
    none = Absent("no element lies beside the pattern: there is no change to measure the size of")
    why = "every element that was read is one of the pattern's numbers"
    causes = tuple(ExcludedCause(c, why) for c in ("another arithmetic", "another revision of a parent"))
    return PostTraining("not-detected", none, Estimate(0.0, low, high, LEVEL), causes, seen)


def with_pattern(report: Report, story: Pattern) -> Report:
    """The report without what a blend's replay would say."""
    reason = Absent("the masks of a merge by chance are replayed only from their seed, which is not known")
    return replace(report, replay=reason, novelty=Novelty(reason), direction=Direction(reason, reason))
