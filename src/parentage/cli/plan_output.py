"""Printing the plan of ``audit --dry-run``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from parentage.cli.streams import emit_json, plain_text, printing
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.json_files import dumps, write_json
from parentage.records.plan import SCHEMA, VERSION, AuditPlan, PlannedReading
from parentage.reports.wording import bytes_text, clipped, count_text

__all__ = ["plan_lines", "print_plan", "write_plan"]

NAME = 48
SHOWN = 8


def write_plan(plan: AuditPlan, json_file: str | None) -> None:
    """As ``--json`` says: to standard output, to a file and in words, or in words alone."""
    payload = {"schema": SCHEMA, "version": VERSION, **to_plain(plan)}
    if json_file == "-":
        with printing():
            emit_json(dumps(payload))
        return
    if json_file is not None:
        write_json(Path(json_file), payload)
    print_plan(plan)


def print_plan(plan: AuditPlan) -> None:
    """In words, to standard output."""
    with printing():
        for line in plan_lines(plan):
            plain_text(line)


def plan_lines(plan: AuditPlan) -> Iterator[str]:
    """A line each."""
    yield "Nothing was read but headers and cards. The audit would read:"
    yield ""
    yield from _models(plan)
    yield ""
    for c in plan.components:
        share = c.elements_read / c.elements if c.elements else 0.0
        yield (
            f"  {c.component}: {count_text(c.tensors)} tensors, {count_text(c.elements_read)} of "
            f"{count_text(c.elements)} numbers ({share:.3g})"
        )
    yield ""
    yield from _stages(plan)
    yield from _left(plan)
    yield from (f"Note: {clipped(note, 400)}" for note in plan.notes)
    if plan.spent.requests:
        yield f"Making this plan took {_cost(plan.spent)}."


def _models(plan: AuditPlan) -> Iterator[str]:
    for m in plan.models:
        where = f"{clipped(m.name, NAME)} ({m.role})"
        size = f"{count_text(m.tensors)} tensors in {count_text(m.files)} files, {bytes_text(m.stored)}"
        if m.remote:
            yield f"  {where}: {size}; headers {_cost(m.opening)}, weights {_cost(m.reading)}"
        else:
            yield f"  {where}: {size}, on this machine"


def _stages(plan: AuditPlan) -> Iterator[str]:
    for k, stage in enumerate(plan.stages):
        if k == 0:
            yield f"{count_text(stage.elements)} numbers of a tensor: {_cost(stage.total)} in all."
            continue
        fits = "within" if stage.fits else "beyond"
        yield (
            f"What that leaves open, up to {count_text(stage.elements)}: {_cost(stage.total)} in all if "
            f"it is everything, {fits} the budget."
        )
    yield from _looks(plan)
    if not isinstance(plan.budget, Absent):
        yield f"Budget: {plan.budget}."
    yield (
        f"About {plan.seconds_network:.0f} s of network at 50 ms of latency, and {bytes_text(plan.memory)} "
        f"of memory."
    )
    yield from _processor(plan)


def _looks(plan: AuditPlan) -> Iterator[str]:
    if isinstance(plan.looks, Absent):
        return
    if plan.looks.layers.requests:
        yield f"To compare layers by content, for their numbers differ: {_cost(plan.looks.layers)} more."
    yield (
        f"At most {_cost(plan.looks.orders)} more where units stand in another order, and "
        f"{_cost(plan.looks.methods)} to replay merge methods where no blend explains everything."
    )


def _processor(plan: AuditPlan) -> Iterator[str]:
    time = plan.processor
    if isinstance(time, Absent):
        return
    parts = [f"{_seconds(time.measures)} for the measures"]
    parts += [f"{_seconds(time.digests)} for digests"] if time.digests else []
    parts += [f"{_seconds(time.full_pass)} for replaying every element"] if time.full_pass else []
    yield f"About {_seconds(time.total)} of one core, an estimate: {', '.join(parts)}."


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _left(plan: AuditPlan) -> Iterator[str]:
    reasons = Counter(n.reason for n in plan.not_read)
    if reasons:
        yield f"Not to be read: {count_text(len(plan.not_read))} tensors (--json lists them):"
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]:
        yield f"  {count_text(count)}: {clipped(reason, 200)}"
    if len(reasons) > SHOWN:
        yield f"  and {count_text(len(reasons) - SHOWN)} reasons more"


def _cost(cost: PlannedReading) -> str:
    return f"{bytes_text(cost.nbytes)} in {count_text(cost.requests)} requests"
