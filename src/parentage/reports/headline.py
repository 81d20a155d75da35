"""What a report says at first sight, the same for every renderer.

Each answer here guards against a misreading: a recipe that was tried is not one that was found, models
that stand near are not parents, and a sample is not the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import ArithmeticMatch, Control, Replay, Report, Verdict
from parentage.reports.wording import (
    bits_text,
    bound_text,
    clipped,
    count_text,
    level_text,
    match_text,
    plain,
    relation_words,
    share_text,
    size_text,
    status_words,
    visible,
)

__all__ = [
    "COPIES",
    "Fact",
    "alternatives",
    "changed_text",
    "control_weight_text",
    "controls_text",
    "facts",
    "has_later_change_to_judge",
    "histogram_text",
    "interval_meanings",
    "is_established",
    "merge_test_lines",
    "novelty_text",
    "parents_title",
    "real_controls",
    "sigma_text",
    "suspect_consistency",
    "verdict_words",
    "was_changed_later",
]

COPIES: Final = ("copy", "cast-copy", "quantized-copy")
_TITLES: Final = {
    "copy": "What it is a copy of",
    "cast-copy": "What it is a copy of",
    "quantized-copy": "What it is a copy of",
    "fine-tune": "What it was trained from",
    "adapter-fine-tune": "What it was trained from",
    "abliteration": "What it was made from",
    "shared-ancestor": "Relatives, which it is not made from",
    "same-run-checkpoint": "Models that it lies near",
    "independent": "Models that it was compared with",
    "undetermined": "Models that it was compared with",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the head: what it is, the figure, what it is of; ``warns`` where it is weak.

    ``term``: its entry in the glossary, if it has one.
    """

    name: str
    figure: str
    about: str
    term: str = ""
    warns: bool = False


def verdict_words(verdict: Verdict) -> str:
    """The verdict's relation beside its status; what is not settled is not said outright."""
    if verdict.relation == verdict.status:
        return ""
    before = {"contradicted": "the claim: ", "undetermined": "perhaps "}.get(verdict.status, "")
    return before + relation_words(verdict.relation)


def is_established(report: Report) -> bool:
    """Was the recipe that was replayed found to be the suspect's, or is it only the best one tried?"""
    if isinstance(report.replay, Absent):
        return False
    return report.replay.parameters.get("established") is not False


def parents_title(report: Report) -> str:
    """A heading that does not promise parents where none was established."""
    if report.verdict.status == "supported" or any(
        isinstance(p.weight, Estimate) for p in report.verdict.parents
    ):
        return _TITLES.get(report.verdict.relation, "What it is made of")
    return _TITLES["undetermined"]


def facts(report: Report) -> tuple[Fact, ...]:
    """The figures that stand beside the verdict's sentence."""
    return (_carries(report), _later(report), _looked_at(report), _controls(report))


def was_changed_later(report: Report) -> bool:
    """A merge that was trained on matches its replay no more, and no single weight explains it."""
    return report.post_training.status == "detected" and is_established(report)


def _carries(report: Report) -> Fact:
    """The figure that carries this verdict, which is another one for a copy than for a merge."""
    if report.verdict.status == "supported" and report.verdict.relation in COPIES:
        how = "" if report.verdict.relation == "copy" else ", once rounded to its number format"
        numbers = count_text(report.coverage.elements_examined)
        return Fact("Equal", "Every number", f"of {numbers} examined{how}")
    if was_changed_later(report):
        return _merge_test(report)
    return _match(report)


def _merge_test(report: Report) -> Fact:
    tests = () if isinstance(report.merge_tests, Absent) else report.merge_tests
    if tests:
        passed, eligible = count_text(tests[0].passed), count_text(tests[0].eligible)
        return Fact(
            "Stored merge", f"{passed} of {eligible}", "matrices lie on the grid of a stored merge", "grid"
        )
    replay = report.replay
    share = "–" if isinstance(replay, Absent) else share_text(replay.match)
    return Fact("Still as merged", share, "of the numbers; the others were changed later", "match")


def merge_test_lines(report: Report) -> tuple[str, ...]:
    """Suspect and controls in the test for a stored merge, a sentence each."""
    if isinstance(report.merge_tests, Absent):
        return ()
    return tuple(
        f"{clipped(t.name)}: {count_text(t.passed)} of {count_text(t.eligible)} matrices on the grid of a "
        f"stored merge (log-likelihood ratio {size_text(t.delta_ll)})"
        for t in report.merge_tests
    )


def _match(report: Report) -> Fact:
    replay = report.replay
    if isinstance(replay, Absent):
        return Fact("Match", "–", visible(replay.reason), "match")
    of = f"of {count_text(replay.informative_elements)} numbers where the parents differ, in every bit"
    if is_established(report):
        return Fact("Match", match_text(replay.match), of, "match")
    return Fact(
        "Best blend tried",
        match_text(replay.match),
        f"{of}; that is no finding: no recipe was established",
        "match",
    )


def _later(report: Report) -> Fact:
    after = report.post_training
    if not has_later_change_to_judge(report):
        return Fact("Later training", "Not judged", visible(plain_reason(after.changed_share)))
    words = changed_text(after.changed_share) if isinstance(after.changed_share, Estimate) else ""
    return Fact("Later training", status_words(after.status), words)


def plain_reason(value: object) -> str:
    """The reason of what is absent, alone; nothing for what is there."""
    return value.reason if isinstance(value, Absent) else ""


def has_later_change_to_judge(report: Report) -> bool:
    """Without an established blend there is nothing that a later change could be measured against."""
    after = report.post_training
    measured = isinstance(after.changed_share, Estimate) or isinstance(after.sigma_relative, Estimate)
    return after.status != "undetermined" or measured


def _looked_at(report: Report) -> Fact:
    c = report.coverage
    share = c.elements_examined / c.elements if c.elements else 0.0
    about = (
        f"of the numbers: {count_text(c.elements_examined)} of {count_text(c.elements)}, "
        f"in {count_text(c.tensors_examined)} of {count_text(c.tensors)} tensors"
    )
    if c.not_examined:
        about += f"; {count_text(len(c.not_examined))} left out"
    return Fact("Looked at", share_text(share), about, warns=c.tensors_examined < c.tensors)


def _controls(report: Report) -> Fact:
    real = real_controls(report)
    figure = f"{count_text(len(real))} real" if real else "None real"
    return Fact("Controls", figure, controls_text(report), "control", warns=not real)


def real_controls(report: Report) -> tuple[Control, ...]:
    """Controls that are models, not shuffled differences."""
    return tuple(c for c in report.controls if c.real)


def controls_text(report: Report) -> str:
    """What the controls are worth, in a sentence without its full stop."""
    real = real_controls(report)
    if not real:
        made = " (a shuffled difference stood in, which is easier to tell apart)" if report.controls else ""
        return f"no other fine-tune was put through the same tests{made}"
    if was_changed_later(report):
        return _controls_in_merge_test(report)
    best = max((c.consistency for c in real if not isinstance(c.consistency, Absent)), default=None)
    if best is None:
        return "no blend was measured on them"
    own = suspect_consistency(report)
    beside = "" if own is None else f", the suspect {match_text(own)}"
    return f"best consistency of a control {match_text(best)}{beside}"


def _controls_in_merge_test(report: Report) -> str:
    tests = () if isinstance(report.merge_tests, Absent) else report.merge_tests[1:]
    if not tests:
        return "put through the same tests"
    best = max(tests, key=lambda t: t.passed / max(t.eligible, 1))
    return f"best of them {count_text(best.passed)} of {count_text(best.eligible)} matrices"


def interval_meanings(report: Report) -> tuple[str, ...]:
    """What the intervals of the verdict's weights promise, each said once."""
    known = [p.weight for p in report.verdict.parents if isinstance(p.weight, Estimate)]
    course = report.heterogeneity
    if not isinstance(course, Absent) and course.pattern not in ("one-weight", "varies"):
        return ("from the tensor with the lowest weight to the one with the highest",) if known else ()
    return tuple(sorted({level_text(e) for e in known}))


def suspect_consistency(report: Report) -> float | None:
    """The share of the suspect's numbers that a weight of each tensor's own explains, as for controls."""
    known = [(t.consistency, t.elements_examined) for t in report.tensors if t.weights]
    shares = [(c, n) for c, n in known if not isinstance(c, Absent)]
    total = sum(n for _, n in shares)
    return sum(c * n for c, n in shares) / total if total else None


def changed_text(share: Estimate) -> str:
    """The share of numbers that were changed later; none seen is a bound, never a zero."""
    if share.estimate == 0:
        return f"no examined number was changed; at most {bound_text(share.high)} may have been"
    return (
        f"{share_text(share.estimate)} of the numbers changed "
        f"({share_text(share.low)} to {share_text(share.high)})"
    )


def sigma_text(sigma: Estimate) -> str:
    """The size of the change."""
    return (
        f"{size_text(sigma.estimate)} of the weights' spread "
        f"({size_text(sigma.low)} to {size_text(sigma.high)})"
    )


def novelty_text(report: Report) -> str:
    """Bits that are left open, and by what."""
    bits, own = report.novelty.bits_per_weight, report.novelty.own_bits_per_weight
    if isinstance(bits, Absent):
        return plain(bits)
    if not isinstance(own, Absent) and bits >= own:
        return f"the best blend that was tried explains none of the {own:.2f} bits of a number"
    whole = "" if isinstance(own, Absent) else f" of {own:.2f}"
    by = "explanation" if _explained(report) else "best blend that was tried"
    return f"{bits_text(bits)}{whole} bits of a number are left open by the {by}"


def _explained(report: Report) -> bool:
    return is_established(report) or report.verdict.relation in COPIES


def alternatives(replay: Replay | Absent) -> tuple[ArithmeticMatch, ...]:
    """The arithmetics beside the one that was chosen, which may be among those tried."""
    if isinstance(replay, Absent):
        return ()
    return tuple(a for a in replay.alternatives if a.arithmetic != replay.arithmetic)


def control_weight_text(control: Control) -> str:
    """A control's weight: the middle tensor's, and the range over its tensors."""
    weight = control.weight
    if isinstance(weight, Absent):
        return visible(weight.reason)
    if weight.low == weight.high:
        return size_text(weight.estimate)
    return f"{weight.estimate:.2f}, over its tensors {weight.low:.2f} to {weight.high:.2f}"


def histogram_text(offsets: Mapping[str, int]) -> str:
    """How the numbers lie about the replay, in a sentence."""
    counts = {int(key): count for key, count in offsets.items()}
    total = sum(counts.values())
    if total == 0:
        return "No number was counted."
    same, near = counts.get(0, 0), counts.get(1, 0) + counts.get(-1, 0)
    if same == total:
        return f"All {count_text(total)} numbers that were examined equal the replay in every bit."
    rest = total - same - near
    return (
        f"Of {count_text(total)} numbers examined {share_text(same / total)} equal the replay, "
        f"{share_text(near / total)} lie one step of their number format off it and "
        f"{share_text(rest / total)} farther."
    )
