"""``--fail-on`` and ``--claim``: which values make sense, and whether a condition holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from parentage.errors import ParentageError, UsageError
from parentage.records.relations import RELATIONS

if TYPE_CHECKING:
    from parentage.api import AuditResult

__all__ = ["TRAINING", "UNDISCLOSED", "ConditionHolds", "check_claim", "check_conditions", "refuse"]

TRAINING = "training"
UNDISCLOSED = "undisclosed"


class ConditionHolds(ParentageError):
    """A condition of ``--fail-on`` holds."""

    exit_code = 5
    default_code = "fail-on"


def check_conditions(wanted: Sequence[str]) -> None:
    """Refuse what no report could ever say; raises ``UsageError`` (``usage-fail-on``)."""
    for condition in wanted:
        if condition not in (TRAINING, UNDISCLOSED, *RELATIONS):
            raise UsageError(
                f"--fail-on {condition}: no such condition",
                code="usage-fail-on",
                hint=f"{TRAINING}, {UNDISCLOSED} or a relation: {', '.join(RELATIONS)}",
            )


def check_claim(claim: str | None) -> None:
    """Raises ``UsageError`` (``usage-claim``) unless it is a relation that somebody can claim."""
    claimable = [r for r in RELATIONS if r != "undetermined"]
    if claim is not None and claim not in claimable:
        raise UsageError(
            f"--claim {claim}: no such relation",
            code="usage-claim",
            hint=", ".join(claimable),
        )


def refuse(result: AuditResult, wanted: Sequence[str]) -> None:
    """Raise :class:`ConditionHolds` for the conditions that hold, all of them in one message."""
    found = list(_holding(result, wanted))
    if found:
        raise ConditionHolds(
            "; ".join(found), hint="the report says why; without --fail-on the exit code is 0"
        )


def _holding(result: AuditResult, wanted: Sequence[str]) -> Iterator[str]:
    from parentage.verdicts.beside.disclosure import undisclosed_parents
    from parentage.verdicts.judge import judge

    # A claim takes the verdict's place in the report: what the weights themselves say counts here.
    report = judge(result.evidence)
    for condition in dict.fromkeys(wanted):
        if condition == TRAINING:
            if report.post_training.status == "detected":
                yield "--fail-on training: later training is detected"
        elif condition == UNDISCLOSED:
            names = undisclosed_parents(result.evidence, report.verdict)
            if names:
                yield (
                    f"--fail-on undisclosed: {report.verdict.relation} is supported, and the suspect's "
                    f"own files do not declare {', '.join(names)}"
                )
        elif condition == report.verdict.relation and (
            report.verdict.status == "supported" or condition == "undetermined"
        ):
            yield f"--fail-on {condition}: the report says so"
