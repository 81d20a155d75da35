"""The wiring behind the commands, and the public Python interface.

>>> from parentage import api
>>> result = api.audit("suspect/", parents=["a/", "b/"])   # doctest: +SKIP
>>> result.report.verdict.sentence                          # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.budget import Counters
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.engines.compiling import compile_for_audit
from parentage.engines.engine import Engine
from parentage.errors import EvidenceError
from parentage.evidence.between.difference import compare_checkpoints
from parentage.evidence.full.options import FullOptions
from parentage.evidence.inputs.asked_options import DEFAULT_SAMPLE, Asked, cores, options_for
from parentage.evidence.inputs.input_notes import input_notes
from parentage.evidence.inputs.opening import open_inputs, open_pinned, wanted_models
from parentage.evidence.inputs.planned_inputs import plan_of
from parentage.evidence.inputs.proposals import Proposal, propose
from parentage.evidence.inspection import inspect_checkpoint
from parentage.evidence.measure import measure
from parentage.evidence.rederive import rederive, stored_options
from parentage.evidence.sampling.fetching import FetchProgress
from parentage.merging.merge import MergeOptions, replay_merge, write_merge
from parentage.merging.merge import plan_merge as plan_merge_of
from parentage.merging.recipe_reading import read_recipe
from parentage.merging.recipe_writing import recipe_text
from parentage.merging.recovered import recovered_recipe, recovered_share
from parentage.records import evidence as evidence_records
from parentage.records import report as report_records
from parentage.records.codec import to_plain
from parentage.records.difference import Difference
from parentage.records.evidence import Evidence
from parentage.records.evidence_checks import read_evidence
from parentage.records.inspection import Inspection
from parentage.records.json_files import dumps, load_json, write_json
from parentage.records.merge import MergeRecord
from parentage.records.plan import AuditPlan
from parentage.records.rebuild import Rebuild
from parentage.records.recipe import Recipe
from parentage.records.report import NetworkCost, Report
from parentage.records.verification import Verification
from parentage.verdicts.judge import judge

__all__ = [
    "DEFAULT_SAMPLE",
    "AuditResult",
    "MergeOptions",
    "RemoteLimits",
    "audit",
    "diff",
    "inspect",
    "load_evidence",
    "load_report",
    "merge",
    "plan_audit",
    "plan_merge",
    "recovered_recipe",
    "render_html",
    "render_json",
    "render_recipe",
    "replay",
    "save_evidence",
    "verify",
]

Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    """No progress."""


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
    progress: Progress = _silent,
) -> AuditResult:
    """Audit a suspect; a model is a path to a file or folder, or an address (docs/places.md).

    ``sample``: elements examined in each tensor; without it 65,536, and where a model is read over a
    network 4,096, then 16,384 and 65,536 of those parts whose question is still open. ``full``: replay the
    recipe on every element too. ``candidates``: a folder of models, or a file that names one a line.
    ``limits``: what reading over a network may cost, and where slices are kept; a budget that ends leaves
    tensors out, which ``AuditResult.left_out`` names. ``engine``: where the full pass runs, "threads" or
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
        inputs = open_inputs(stack, wanted, shared)
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
    return plan_of(suspect, parents, controls, base, previous, candidates, limits, asked)


def verify(
    path: Path,
    *,
    places: Mapping[str, str] | None = None,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    engine: str | Engine = "threads",
    address: str | None = None,
    resume: str | Path | None = None,
    device: str = "cpu",
    compile_first: bool = False,
    progress: Progress = _silent,
) -> Verification:
    """Measure again from the pinned inputs, ignoring every stored number, and name what differs.

    ``places``: where inputs lie now, by the models' names. Counts and digests must agree exactly,
    derived floats to 1e-9. ``engine``, ``address``, ``resume``, ``device``,
    ``compile_first``: as for :func:`audit`.
    """
    plain = _load_evidence(path)
    stored = read_evidence(plain)
    options = stored_options(stored.used, workers or cores())
    runs = FullOptions(engine, address, resume, device)
    options = replace(options, **runs.checked(options.full, workers, limits))
    with ExitStack() as stack:
        shared = SharedSession(stack, limits, FetchProgress(progress).heard, sampled=not options.full)
        inputs = open_pinned(stack, stored.models, places or {}, shared)
        compile_for_audit(compile_first, options.full, progress)
        return rederive(stored, plain, inputs, options, progress)


def inspect(
    model: str,
    *,
    digests: bool = False,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    progress: Progress = _silent,
) -> Inspection:
    """Describe one checkpoint; ``digests`` reads all of it. Raises ``ParentageError``."""
    with ExitStack() as stack:
        session = SharedSession(stack, limits).of(model)
        checkpoint = stack.enter_context(open_checkpoint(model, session=session))
        return inspect_checkpoint(
            checkpoint, digests=digests, workers=workers or cores(), progress=progress
        )


def diff(
    first: str,
    second: str,
    *,
    base: str | None = None,
    sample: int | None = DEFAULT_SAMPLE,
    seed: int = 0,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    progress: Progress = _silent,
) -> Difference:
    """Compare two checkpoints tensor by tensor; ``sample`` None examines every element."""
    with ExitStack() as stack:
        shared = SharedSession(stack, limits)
        opened = [
            stack.enter_context(open_checkpoint(place, session=shared.of(place)))
            for place in (first, second, base)
            if place is not None
        ]
        third = opened[2] if base is not None else None
        return compare_checkpoints(
            opened[0],
            opened[1],
            third,
            sample=sample,
            seed=seed,
            workers=workers or cores(),
            progress=progress,
        )


def plan_merge(recipe: Recipe | Path, options: MergeOptions | None = None) -> MergeRecord:
    """What :func:`merge` would do, from headers alone. Raises ``ParentageError``."""
    wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    return plan_merge_of(wanted, options or MergeOptions())


def merge(
    recipe: Recipe | Path,
    out: Path,
    options: MergeOptions | None = None,
    *,
    progress: Progress = _silent,
) -> MergeRecord:
    """Make the merge that a recipe, or the file of one, describes, in the new folder ``out``.

    The folder appears whole or not at all (docs/merging.md). Raises ``ParentageError``.
    """
    wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    return write_merge(wanted, out, options or MergeOptions(), progress)


def replay(
    recipe: Recipe | Path,
    suspect: str,
    options: MergeOptions | None = None,
    *,
    by_digest: bool = False,
    progress: Progress = _silent,
) -> Rebuild:
    """Make a recipe's merge again and compare it with ``suspect``, element by element and file by file.

    ``by_digest``: by the SHA-256 that the suspect's place publishes, without reading its weights. Parents
    are hashed only where ``options`` ask for it. Raises ``ParentageError``.
    """
    wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    chosen = options or MergeOptions(digests=False)
    return replay_merge(wanted, suspect, chosen, read=not by_digest, progress=progress)


def save_evidence(found: Evidence, path: Path) -> None:
    """Write an evidence file atomically."""
    plain = to_plain(found)
    header = {"schema": evidence_records.SCHEMA, "version": evidence_records.VERSION}
    write_json(path, {**header, **plain}, compact=True)


def load_evidence(path: Path) -> Evidence:
    """Read an evidence file; ``EvidenceError`` when it is not one."""
    return read_evidence(_load_evidence(path))


def _load_evidence(path: Path) -> dict[str, Any]:
    return load_json(path, schema=evidence_records.SCHEMA, version=evidence_records.VERSION)


def load_report(path: Path) -> Report:
    """Read a report; an evidence file is judged by this version's rules."""
    try:
        return report_records.load_report(path)
    except EvidenceError as error:
        if error.code != "file-wrong-schema":
            raise
        found = load_evidence(path)
        claim = found.asked.get("claim")
        return judge(found, claim=claim if isinstance(claim, str) else None)


def render_json(report: Report) -> str:
    """The report as JSON text."""
    return dumps(report_records.to_json(report))


def render_recipe(found: Evidence) -> str:
    """The recipe that an audit recovered, as YAML; ``NotRecoveredError`` where there is none.

    Its first lines say how much of the suspect it explains.
    """
    recipe = recovered_recipe(found)
    matches, informative = recovered_share(found)
    share = f"{matches:,} of {informative:,}"
    exact = matches == informative > 0
    what = "every element" if exact else "NOT EVERY element"
    return (
        "# Recovered by an audit. It reproduces "
        f"{what} that was examined where the parents differ: {share}.\n{recipe_text(recipe)}"
    )


def render_html(report: Report) -> str:
    """The report as one self-contained HTML page."""
    from parentage.reports.html import render

    return render(report)
