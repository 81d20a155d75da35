"""Audits: what a suspect is made of, measured, judged, planned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from parentage.api.progress import Progress, silent
from parentage.checkpoints.remote.budget import Counters
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.engines.compiling import compile_for_audit
from parentage.engines.engine import Engine
from parentage.evidence.full.options import FullOptions
from parentage.evidence.inputs.asked_options import Asked, options_for
from parentage.evidence.inputs.input_notes import input_notes
from parentage.evidence.inputs.opening import open_inputs, wanted_models
from parentage.evidence.inputs.planned_inputs import plan_of
from parentage.evidence.inputs.proposals import Proposal, propose
from parentage.evidence.measure import measure
from parentage.evidence.sampling.fetching import FetchProgress
from parentage.records.evidence import Evidence
from parentage.records.plan import AuditPlan
from parentage.records.report import NetworkCost, Report
from parentage.verdicts.judge import judge

__all__ = ["AuditResult", "audit", "plan_audit"]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What was measured, and what was concluded from it."""

    evidence: Evidence
    report: Report

    @property
    def left_out(self) -> tuple[str, ...]:
        """Tensors that the budget ended before; the coverage says so too."""
        return tuple(self.evidence.used.get("left_out", ()))


def audit(
    suspect: str,
    *,
    parents: Sequence[str] = (),
    controls: Sequence[str] = (),
    base: str | None = None,
    previous: str | None = None,
    root: str | None = None,
    candidates: str | None = None,
    sample: int | None = None,
    full: bool = False,
    seed: int = 0,
    workers: int = 0,
    claim: str | None = None,
    digests: bool = True,
    limits: RemoteLimits | None = None,
    engine: str | Engine = "threads",
    address: str | None = None,
    resume: str | Path | None = None,
    device: str = "cpu",
    compile_first: bool = False,
    progress: Progress = silent,
) -> AuditResult:
    """Audit a suspect; a model is a path to a file or folder, or an address (docs/places.md).

    ``sample``: elements examined in each tensor; without it 65,536, and where a model is read over a
    network 4,096, then 16,384 and 65,536 of those parts whose question is still open. ``full``: replay the
    recipe on every element too. ``candidates``: a folder of models, or a file that names one a line.
    ``limits``: what reading over a network may cost, and where slices are kept; a budget that ends leaves
    tensors out, which ``AuditResult.left_out`` names. ``root``: which of these models all others were made
    from, as is known from elsewhere (docs/relations.md). ``engine``: where the full pass runs, "threads" or
    "ray", on the cluster at ``address``; ``resume``: a file that keeps what of it is done (docs/scale.md);
    ``device``: what counts there, "cpu" or "cuda" (extra ``torch``); none of these moves a result.
    ``compile_first``: the first run has processes that end compile (docs/scale.md). ``progress`` is also
    called on another thread while bytes come. Raises ``ParentageError``.
    """
    limits = limits or RemoteLimits()
    runs = FullOptions(engine, address, resume, device).checked(full, workers, limits)
    asked: dict[str, Any] = {
        "suspect": suspect,
        "parents": list(parents),
        "controls": list(controls),
        "base": base,
        "previous": previous,
        "candidates": candidates,
        "claim": claim,
        "sample": sample,
        "seed": seed,
        "full": full,
    }
    if root is not None:
        asked["root"] = root
    if limits.bounded:
        asked["budget"] = {"bytes": limits.budget_bytes, "requests": limits.budget_requests}
    others = (*controls, *(p for p in (base, previous) if p is not None))
    with ExitStack() as stack:
        fetched = FetchProgress(progress)
        shared = SharedSession(stack, limits, fetched.heard, sampled=not full)
        proposal = Proposal()
        if candidates is not None or not (parents or others):
            compile_for_audit(compile_first, full, progress)
            proposal = propose(
                suspect,
                candidates,
                parents=parents,
                others=others,
                seed=seed,
                progress=progress,
                shared=shared,
            )
        named = ((*parents, *proposal.parents), (*controls, *proposal.controls))
        wanted = wanted_models(suspect, *named, base, previous)
        inputs = open_inputs(stack, wanted, shared, root)
        compile_for_audit(compile_first, full, progress)
        options = replace(options_for(inputs, Asked(sample, seed, full, digests, workers), limits), **runs)
        asked["sample"] = options.sample
        notes = (*proposal.notes, *input_notes(inputs))
        found = measure(inputs, options, asked, notes, progress, fetched)
    return AuditResult(found, _with_cost(judge(found, claim=claim), shared.counters))


def _with_cost(report: Report, counters: Counters | None) -> Report:
    if counters is None:
        return report
    cost = NetworkCost(counters.bytes_read, counters.requests, counters.resolves)
    return replace(report, coverage=replace(report.coverage, network=cost))


def plan_audit(
    suspect: str,
    *,
    parents: Sequence[str] = (),
    controls: Sequence[str] = (),
    base: str | None = None,
    previous: str | None = None,
    root: str | None = None,
    candidates: str | None = None,
    sample: int | None = None,
    full: bool = False,
    seed: int = 0,
    workers: int = 0,
    digests: bool = True,
    limits: RemoteLimits | None = None,
) -> AuditPlan:
    """What ``audit`` with the same arguments would read; headers and cards are all that is read for it.

    Candidates are planned as controls: which of them is read depends on a brief look at weights. Raises
    ``ParentageError``.
    """
    asked = Asked(sample, seed, full, digests, workers)
    limits = limits or RemoteLimits()
    return plan_of(suspect, parents, controls, base, previous, candidates, limits, asked, root)
