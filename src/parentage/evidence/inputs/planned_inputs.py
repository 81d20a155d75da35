"""The plan of an audit from its arguments: the models that were given, and every candidate, are opened."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.errors import ParentageError
from parentage.evidence.inputs.asked_options import Asked, options_for
from parentage.evidence.inputs.opening import Wanted, open_inputs, root_among, wanted_models
from parentage.evidence.inputs.proposals import candidates_of
from parentage.evidence.measure import AuditInputs, NamedCheckpoint
from parentage.evidence.sampling.dry_run import plan_audit
from parentage.records.evidence import ModelRole
from parentage.records.plan import AuditPlan, PlannedReading

__all__ = ["open_planned", "plan_of"]


def open_planned(
    stack: ExitStack, wanted: Sequence[Wanted], candidates: Sequence[str], shared: SharedSession
) -> tuple[AuditInputs, tuple[str, ...]]:
    """Headers of all, to be closed by ``stack``; and a note on each candidate that cannot be opened."""
    inputs = open_inputs(stack, wanted, shared)
    opened, notes = [], []
    for place in candidates:
        try:
            checkpoint = stack.enter_context(open_checkpoint(place, session=shared.of(place)))
        except ParentageError as error:
            notes.append(f"candidate {place}: set aside, {error.message} ({error.code})")
            continue
        opened.append(NamedCheckpoint(place, ModelRole.CONTROL, checkpoint))
    return replace(inputs, models=(*inputs.models, *opened)), tuple(notes)


def plan_of(
    suspect: str,
    parents: Sequence[str],
    controls: Sequence[str],
    base: str | None,
    previous: str | None,
    candidates: str | None,
    limits: RemoteLimits,
    asked: Asked,
    root: str | None = None,
) -> AuditPlan:
    """See ``api.plan_audit``."""
    given = [p for p in (*parents, *controls, base, previous) if p is not None]
    with ExitStack() as stack:
        shared = SharedSession(stack, limits, sampled=True)
        places: list[str] = []
        notes: list[str] = []
        if candidates is not None or not given:
            places, notes = candidates_of(suspect, candidates, given, shared)
        wanted: tuple[Wanted, ...] = (Wanted(suspect, ModelRole.SUSPECT),)
        if given:
            wanted = wanted_models(suspect, parents, controls, base, previous)
        if candidates is None:
            root_among(wanted, root)
        inputs, failed = open_planned(stack, wanted, places, shared)
        options = options_for(inputs, asked, limits)
        said = {"suspect": suspect, "sample": options.sample, "seed": options.seed}
        found = plan_audit(inputs, options, said, (*notes, *failed), frozenset(places))
        return replace(found, spent=PlannedReading(*shared.spent))
