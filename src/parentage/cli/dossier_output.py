"""What a dossier will read, ask and cost, and what it shows and writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cli.interview_output import Costs
from parentage.cli.output import encodable, print_any
from parentage.cli.streams import emit_json, printing
from parentage.errors import CheckpointError, ReadError

if TYPE_CHECKING:
    from parentage.api import DossierPlan, DossierResult

__all__ = ["announce", "completed", "write_outputs"]


def announce(plan: DossierPlan, costs: Costs, json_file: str | None, *, only: bool) -> None:
    """The plan: on standard output where it is all that was asked for, in short on standard error else."""
    from parentage.cli.plan_output import plan_lines
    from parentage.records.codec import to_plain
    from parentage.records.json_files import dumps
    from parentage.reports.wording import visible

    if only and json_file == "-":
        with printing():
            emit_json(dumps(to_plain(plan)))
        return
    lines = [
        *(plan_lines(plan.audit) if only else _short(plan)),
        _interview(plan, costs),
        f"Card: {visible(plan.card)}",
    ]
    stream = sys.stdout if only else sys.stderr
    text = "".join(f"{visible(line)}\n" for line in lines)
    stream.write(encodable(text, stream.encoding or "utf-8"))


def _short(plan: DossierPlan) -> Iterator[str]:
    from parentage.reports.wording import bytes_text, clipped, count_text

    stage = plan.audit.stages[0]
    names = ", ".join(clipped(m.name, 48) for m in plan.audit.models)
    yield (
        f"planned: audit of {names}; at first {count_text(stage.elements)} numbers of a tensor, "
        f"{bytes_text(stage.total.nbytes)} over a network"
    )


def _interview(plan: DossierPlan, costs: Costs) -> str:
    from parentage.records.absence import Absent

    asked = plan.interview
    if isinstance(asked, Absent):
        return f"Interview: {asked.reason}."
    if not asked.requests:
        return "Interview: kept answers are read; nobody is asked."
    return (
        f"Interview: at most {asked.requests:,} answers of {asked.targets} model(s), some "
        f"{asked.tokens_in:,} tokens in, at most {asked.tokens_out:,} out"
        f"{costs.of_tokens(asked.tokens_in, asked.tokens_out)}."
    )


def write_outputs(
    made: DossierResult, json_file: str | None, html: Path | None, evidence: Path | None
) -> None:
    """Files where they were asked for; the text on standard output unless JSON goes there."""
    from parentage import api
    from parentage.records.json_files import write_text

    if evidence is not None:
        api.save_evidence(made.evidence, evidence)
    if html is not None:
        write_text(html, api.render_html(made.dossier))
    text = api.render_json(made.dossier)
    if json_file is not None and json_file != "-":
        write_text(Path(json_file), text)
    with printing():
        if json_file == "-":
            emit_json(text)
        else:
            print_any(made.dossier)


def completed(made: DossierResult) -> None:
    """Something that was planned and is not there makes the report one on a part (exit code 4, or 3)."""
    coverage = made.evidence.coverage
    if coverage.elements_examined == 0:
        raise CheckpointError(
            "no number of the suspect could be compared with another model's",
            code="nothing-examined",
            where=made.dossier.suspect,
            hint="the report lists each tensor with the reason",
        )
    left = made.evidence.used.get("left_out", ())
    if left:
        raise ReadError(
            f"the budget ended before {len(left):,} tensors were read; the report is on the others",
            code="budget-spent",
            where=made.dossier.suspect,
            hint="allow more with --budget, or examine less with --sample",
        )
    missing = [n for n in made.dossier.not_looked_at if n.what == "answers that were planned"]
    if missing:
        raise ReadError(
            f"not every answer that was planned came: {missing[0].reason}",
            code="interview-incomplete",
            where=made.dossier.suspect,
            hint="run it again: it asks only what is missing",
        )
