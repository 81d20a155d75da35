"""What a reader can do with a report: check it, and take it further."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from parentage.records.absence import Absent
from parentage.records.report import Report
from parentage.reports.wording import visible

__all__ = ["audit_command", "next_steps", "verify_command"]

_OPTION_OF_ROLE = {"parent": "-p", "base": "--base", "control": "-c", "previous": "--previous"}


def audit_command(report: Report) -> str:
    """The command that repeats this audit from the same inputs, quoted for a shell.

    Asked and used settings are read leniently: a saved report of another version may lack some.
    """
    words = ["parentage", "audit", _argument(report.suspect.locator)]
    for model in report.parents:
        option = _OPTION_OF_ROLE.get(model.role)
        if option is not None:
            words += [option, _argument(model.locator)]
    for name in ("sample", "seed"):
        value = report.asked.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            words += [f"--{name}", str(value)]
    if report.asked.get("full") is True:
        words.append("--full")
    return visible(" ".join(shlex.quote(word) for word in words))


def _argument(locator: str) -> str:
    # A name that begins with a dash would be read as an option.
    return f"./{locator}" if locator.startswith("-") else locator


def verify_command() -> str:
    """The command by which a stranger re-derives every number from the pinned inputs."""
    return "parentage verify evidence.json"


def next_steps(report: Report) -> tuple[str, ...]:
    """Where to go from here, most useful first."""
    return tuple(_steps(report))


def _is_blend(report: Report) -> bool:
    return report.verdict.status == "supported" and report.verdict.relation.endswith("-merge")


def _steps(report: Report) -> Iterator[str]:
    if report.coverage.tensors_examined == 0:
        yield "Nothing could be examined: see the reasons above before anything else."
        return
    if report.verdict.status == "undetermined":
        yield "Add the models that you suspect with -p, and their common base with --base."
    if report.coverage.elements_examined < report.coverage.elements:
        yield "Run again with --full to replay the recipe on every number, not on a sample."
    if not any(c.real for c in report.controls):
        yield "Give other fine-tunes of the base with -c: they show what a chance match is worth."
    if any(isinstance(r.why_excluded, Absent) for r in report.verdict.rivals):
        yield "Look for what would tell the explanations apart that are still possible (see above)."
    if report.post_training.status == "undetermined" and _is_blend(report):
        yield "Try other revisions of the parents: a common cause of a small residual."
    yield (
        "Save the evidence with --evidence evidence.json; anyone can then check it with "
        "parentage verify evidence.json."
    )
    yield "Before publishing, ask the model's authors: weights tell how it was made, not by whom."
