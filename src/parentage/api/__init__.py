"""The wiring behind the commands, and the public Python interface.

>>> from parentage import api
>>> result = api.audit("suspect/", parents=["a/", "b/"])   # doctest: +SKIP
>>> result.report.verdict.sentence                          # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parentage.api.archive_checks import check_archive
from parentage.api.archives import is_archive, save_archive
from parentage.api.audits import AuditResult, audit, plan_audit
from parentage.api.cards import CardInputs, card
from parentage.api.dossiers import (
    Asked,
    DossierInputs,
    DossierPlan,
    DossierResult,
    dossier,
    plan_dossier,
)
from parentage.api.files import (
    load_any_report,
    load_evidence,
    load_report,
    render_html,
    render_json,
    render_recipe,
    save_evidence,
)
from parentage.api.interviews import interview, load_interview, plan_interview
from parentage.api.merges import merge, plan_merge, replay
from parentage.api.models import diff, inspect
from parentage.api.verifying import verify
from parentage.checkpoints.remote.remote_limits import RemoteLimits
from parentage.evidence.inputs.asked_options import DEFAULT_SAMPLE
from parentage.merging.merge import MergeOptions
from parentage.merging.recovered import recovered_recipe

if TYPE_CHECKING:
    from parentage.behaviour.interviews import InterviewOptions

__all__ = [
    "DEFAULT_SAMPLE",
    "Asked",
    "AuditResult",
    "CardInputs",
    "DossierInputs",
    "DossierPlan",
    "DossierResult",
    "InterviewOptions",
    "MergeOptions",
    "RemoteLimits",
    "audit",
    "card",
    "check_archive",
    "diff",
    "dossier",
    "inspect",
    "interview",
    "is_archive",
    "load_any_report",
    "load_evidence",
    "load_interview",
    "load_report",
    "merge",
    "plan_audit",
    "plan_dossier",
    "plan_interview",
    "plan_merge",
    "recovered_recipe",
    "render_html",
    "render_json",
    "render_recipe",
    "replay",
    "save_archive",
    "save_evidence",
    "verify",
]


def __getattr__(name: str) -> Any:
    # What interviews load is of no use to an audit, and slow.
    if name == "InterviewOptions":
        from parentage.behaviour.interviews import InterviewOptions

        return InterviewOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
