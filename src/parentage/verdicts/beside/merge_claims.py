"""A weight file's own claims of a merge beside what its weights say; claims never make a verdict."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.merge_claims import ClaimedModel, MergeClaim
from parentage.records.report import VerdictParent
from parentage.verdicts.readings import Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["claim_notes"]

SUMS = ("weighted sum", "weighted_sum")
# Mergers round a multiplier to so much, and files are stored in 16 bits.
SLACK = 0.005


def claim_notes(
    readings: Readings, chosen: Weighing, parents: tuple[VerdictParent, ...]
) -> tuple[str, ...]:
    """What is claimed, which of its models were given, and whether the weights say the same."""
    return tuple(n for claim in readings.evidence.claims for n in _notes(readings, claim, chosen, parents))


def _notes(
    readings: Readings, claim: MergeClaim, chosen: Weighing, parents: tuple[VerdictParent, ...]
) -> Iterator[str]:
    models = [_words(m) for m in claim.models]
    number = "" if isinstance(claim.multiplier, Absent) else f", multiplier {claim.multiplier:g}"
    of = f" of {listing(models)}" if models else ""
    yield (
        f"The suspect's own metadata ({claim.key}) claims a merge by “{claim.tool}”: “{claim.method}”"
        f"{of}{number}. A claim proves nothing."
    )
    given = {m: _given(readings, m) for m in claim.models}
    missing = [_words(m) for m, name in given.items() if not name]
    known = [f"{_words(m)} is {name}" for m, name in given.items() if name]
    if known:
        yield f"By their SHA-256, of the models that the metadata names {listing(known)} here."
    if missing:
        yield (
            f"Not among the models given, or without a digest to know it by: {listing(missing)}; what the "
            f"metadata says of it was not checked."
        )
    yield from _compared(claim, given, chosen, parents)


def _compared(
    claim: MergeClaim,
    given: dict[ClaimedModel, str],
    chosen: Weighing,
    parents: tuple[VerdictParent, ...],
) -> Iterator[str]:
    second = next((name for m, name in given.items() if m.role == "secondary" and name), "")
    found = next((p.weight for p in parents if p.name == second), None)
    merge = chosen.relation == "linear-merge" and chosen.status is Status.SUPPORTED
    if not merge or claim.method.lower() not in SUMS or isinstance(claim.multiplier, Absent):
        return
    if not isinstance(found, Estimate):
        yield "The weights are a blend, but not with the secondary model that the metadata names."
        return
    inside = found.low - SLACK <= claim.multiplier <= found.high + SLACK
    told = f"{found.estimate:.4g} [{found.low:.4g}, {found.high:.4g}] of {second}"
    if inside:
        yield f"The weights say the same as the metadata: {told}."
    else:
        yield f"The weights say otherwise than the metadata: {told}, and {claim.multiplier:g} is claimed."


def _given(readings: Readings, model: ClaimedModel) -> str:
    """The display name of the model with that file; empty where none has it."""
    if isinstance(model.sha256, Absent):
        return ""
    pins = enumerate(readings.evidence.models)
    return next((p.name for k, p in pins if k and any(s.sha256 == model.sha256 for s in p.shards)), "")


def _words(model: ClaimedModel) -> str:
    digest = "" if isinstance(model.sha256, Absent) else f" (SHA-256 {model.sha256[:12]}…)"
    name = "a model without a name" if isinstance(model.name, Absent) else f"“{model.name}”"
    return f"{name}{digest}"
