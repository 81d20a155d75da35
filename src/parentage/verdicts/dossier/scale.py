"""How sure a finding is, in the words of a fixed scale (docs/relations.md#how-sure-a-finding-is).

A grade rests on a bound of the likelihood ratio: how much more probable the reading is if the statement is
true than if it is not. For weights the bound is from below, by this project's own error rates: the least
share of true cases that are told over the largest of false ones (Clopper-Pearson, one-sided 95 % each).
Next to no false statement was seen, so the number of audits sets the bound. For what a model says of itself
it is from above, by how many unrelated models say such things.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.records.dossier import Confidence
from parentage.records.relations import MERGES
from parentage.records.report import Report

__all__ = [
    "IDENTITY",
    "OBSERVED",
    "OPEN",
    "RATES",
    "Rate",
    "confidence_of_later",
    "confidence_of_verdict",
    "grade_of",
]

# ENFSI, Guideline for evaluative reporting in forensic science (2015): least ratio, grade.
_STEPS: Final = (
    (1e6, "extremely-strong"),
    (1e4, "very-strong"),
    (1e3, "strong"),
    (1e2, "moderately-strong"),
    (10.0, "moderate"),
    (2.0, "weak"),
)


def grade_of(ratio: float) -> str:
    """The scale's word for a likelihood ratio."""
    return next((grade for least, grade in _STEPS if ratio >= least), "none")


@dataclass(frozen=True, slots=True)
class Rate:
    """``told`` of ``true`` suspects of which a statement holds, ``wrong`` of ``false`` ones."""

    told: int
    true: int
    wrong: int
    false: int

    @property
    def least_ratio(self) -> float:
        """The bound from below."""
        low, _ = clopper_pearson(self.told, self.true, level=0.90)
        _, high = clopper_pearson(self.wrong, self.false, level=0.90)
        return low / high

    def confidence(self) -> Confidence:
        """The grade, with the counts that it rests on."""
        return Confidence(
            grade_of(self.least_ratio),
            f"On planted suspects of known making it was said of {self.told:,} of {self.true:,} of which "
            f"it is so, and of {self.wrong:,} of {self.false:,} of which it is not (docs/calibration.md): "
            f"the number of audits sets this bound.",
            self.least_ratio,
        )


# Counts of docs/calibration.md and docs/methods.md; a test holds them to those pages. The false ones are of
# suspects drawn by one version.
RATES: Final = {
    "pure-merge": Rate(500, 500, 0, 1056),
    "changed-merge": Rate(959, 1250, 0, 1056),
    "method-merge": Rate(312, 320, 0, 1056),
    "quantised-merge": Rate(76, 125, 0, 120),
    "quantized-copy": Rate(124, 125, 0, 120),
    "fine-tune": Rate(50, 176, 1, 1276),
    "detected": Rate(703, 1250, 0, 1582),
    "not-detected": Rate(498, 500, 0, 350),
}
OBSERVED: Final = Confidence("observed", "It stands in the files word for word, or number for number.")
OPEN: Final = Confidence("not-graded", "The evidence leaves it open.")
_NO_RATE: Final = Confidence("not-graded", "The rule is strict, but no error rate of it was measured.")
_GIVEN: Final = Confidence(
    "not-graded",
    "It rests on what was given as known of how the other models came to be; no planted suspect tests "
    "that.",
)
# arXiv 2411.10683, second-hand: 26 % of 27 models.
_MISNAMED, _MODELS = 7, 27
_OFTEN: Final = clopper_pearson(_MISNAMED, _MODELS, level=0.90)[0]
IDENTITY: Final = Confidence(
    grade_of(1 / _OFTEN),
    f"{_MISNAMED} of {_MODELS} models of a published survey (arXiv 2411.10683) name another maker at "
    f"times, so that a name can make descent at most {1 / _OFTEN:.2g} times as probable; of this "
    f"instrument's own interviews no error rate is known.",
    1 / _OFTEN,
    "at-most",
)
_EQUAL: Final = frozenset({"copy", "cast-copy", "passthrough-merge"})


def confidence_of_verdict(report: Report) -> Confidence:
    """Of what the weights are said to be made of."""
    verdict = report.verdict
    if verdict.status == "undetermined":
        return OPEN
    relation = verdict.relation
    if verdict.given:
        return _GIVEN
    if relation in _EQUAL:
        return OBSERVED
    if relation == "linear-merge":
        if not isinstance(report.replay, Absent) and "same_codes" in report.replay.parameters:
            return RATES["quantised-merge"].confidence()
        exact = report.post_training.status == "not-detected"
        return RATES["pure-merge" if exact else "changed-merge"].confidence()
    key = "method-merge" if relation in MERGES else relation
    return RATES[key].confidence() if key in RATES else _NO_RATE


def confidence_of_later(report: Report) -> Confidence:
    """Of what is said to have happened, or not, after a merge."""
    status = report.post_training.status
    return RATES[status].confidence() if status in RATES else OPEN
