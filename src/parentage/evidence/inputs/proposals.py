"""Parents unknown: candidates are looked at briefly, and the best explanation is proposed.

A proposal decides nothing. It says which of the candidates are worth a full measurement as parents and
which serve as controls; what was set aside is noted, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.places import model_files
from parentage.checkpoints.remote.remote_limits import SharedSession
from parentage.checkpoints.twins import same_weights
from parentage.errors import AlignmentError, ParentageError, UsageError
from parentage.evidence.blends.best_sets import best_set
from parentage.evidence.inputs.brief_look import LOOKED_AT, Look, look_at
from parentage.evidence.inputs.candidate_places import MOST_FROM_HUB, declared_places, listed_places
from parentage.evidence.inputs.opening import MOST_PARENTS
from parentage.evidence.sampling.positions import BLOCK, REMOTE_RUN, Sampling
from parentage.records.absence import Absent

__all__ = ["Proposal", "candidates_of", "propose"]

# Each control is measured as fully as the suspect; beyond a handful the best of them hardly changes.
MOST_CONTROLS = 8
# Strangers that are measured in full when no candidate is related, so that the verdict rests on that.
STRANGERS = 2
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Places to measure in full: ``parents`` to explain by (none where they were given), ``controls``."""

    parents: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def propose(
    suspect: str,
    candidates: str | None,
    *,
    parents: Sequence[str],
    others: Sequence[str],
    seed: int,
    progress: Progress,
    shared: SharedSession | None = None,
) -> Proposal:
    """Look at ``candidates`` (a folder or a list), else at what the suspect's own files name.

    ``parents`` and ``others`` have their roles already; with parents, candidates become controls. Raises
    ``UsageError`` (``usage-no-parents``) when nothing was named anywhere, ``AlignmentError``
    (``no-candidate``) when nothing that was named can be compared with the suspect.
    """
    with ExitStack() as stack:
        shared = SharedSession(stack) if shared is None else shared
        own = stack.enter_context(open_checkpoint(suspect, session=shared.of(suspect)))
        declared = declared_sources(own)
        places, notes = _places(suspect, candidates, declared, (*parents, *others))
        # The same elements of all, or their differences from the suspect could not be combined.
        remote = any(place_kind(p) is not PlaceKind.LOCAL for p in (suspect, *places))
        sampling = Sampling(LOOKED_AT, seed, REMOTE_RUN if remote else BLOCK)
        looks: list[Look] = []
        for k, place in enumerate(places):
            progress("looking at candidates", k, len(places))
            found = look_at(own, place, sampling, shared)
            if isinstance(found, Absent):
                notes.append(f"candidate {place}: set aside, {found.reason}")
            elif known := _known_already(found, looks, (*parents, *others), shared):
                notes.append(known)
            else:
                looks.append(found)
        progress("looking at candidates", len(places), len(places))
        if not looks and not (parents or others):
            raise _none_compared(own, places, notes)
    related = sorted((c for c in looks if c.related), key=lambda c: (c.distance, c.place))
    strangers = sorted((c for c in looks if not c.related), key=lambda c: (-c.correlation, c.place))
    chosen: list[Look] = []
    if not parents:
        chosen = best_set(related, MOST_PARENTS)
        if not related and not others:
            notes.append(f"none of {len(places)} candidates is related; the most alike are measured")
            chosen, strangers = strangers[:STRANGERS], strangers[STRANGERS:]
        if chosen:
            said = ", ".join(c.place for c in chosen)
            notes.append(f"proposed as parents, of {len(places)} looked at: {said}")
    rest = [c for c in related if c not in chosen]
    notes += _set_aside(strangers, rest[MOST_CONTROLS:])
    kept = tuple(c.place for c in rest[:MOST_CONTROLS])
    return Proposal(tuple(c.place for c in chosen), kept, tuple(notes))


def candidates_of(
    suspect: str, candidates: str | None, given: Sequence[str], shared: SharedSession
) -> tuple[list[str], list[str]]:
    """The places that ``propose`` would look at, and notes on names that lead nowhere; of the suspect alone
    headers and cards are read. Raises ``UsageError`` (``usage-no-parents``)."""
    with open_checkpoint(suspect, session=shared.of(suspect)) as own:
        declared = declared_sources(own)
    return _places(suspect, candidates, declared, given)


def _set_aside(strangers: Sequence[Look], far: Sequence[Look]) -> Iterator[str]:
    for c in strangers:
        yield (
            f"candidate {c.place}: set aside, its weights are unrelated (correlation {c.correlation:.3f})"
        )
    for c in far:
        yield (
            f"candidate {c.place}: set aside, related but farther than the {MOST_CONTROLS} that serve "
            f"as controls"
        )


def _places(
    suspect: str, candidates: str | None, declared: Sequence[str], given: Sequence[str]
) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    if candidates is not None:
        found = list(listed_places(candidates))
    else:
        found = []
        for name, place in declared_places(suspect, declared):
            if place is None:
                notes.append(f"its own files name {name}, {_not_found(suspect)}")
            else:
                notes.append(f"its own files name {name}, {_found(place)}")
                found.append(place)
    kept: list[str] = []
    taken = [model_files(p) for p in (suspect, *given)]
    for place in found:
        files = model_files(place)
        if not any(files.same_as(other) for other in taken):
            kept.append(place)
            taken.append(files)
    if not kept:
        raise _nothing_named(candidates, declared)
    return kept, notes


def _found(place: str) -> str:
    remote = place_kind(place) is not PlaceKind.LOCAL
    return f"opened from the hub as {place}" if remote else f"found at {place}"


def _not_found(suspect: str) -> str:
    if place_kind(suspect) is PlaceKind.HUB:
        return f"which is no other model of the hub, or beyond the {MOST_FROM_HUB} that are tried"
    return "which is not beside it"


def _nothing_named(candidates: str | None, declared: Sequence[str]) -> UsageError:
    if candidates is not None:
        said = "; every candidate is the suspect itself or was given as something else"
    elif declared:
        said = f"; its own files name {', '.join(declared[:4])}, which are not beside it"
    else:
        said = "; its own files name no source"
    return UsageError(
        "nothing to compare the suspect with" + said,
        code="usage-no-parents",
        hint="name parents with -p, or models to try with --candidates",
    )


def _none_compared(own: Checkpoint, places: Sequence[str], notes: Sequence[str]) -> AlignmentError:
    reasons = [n for n in notes if n.startswith("candidate ")]
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return AlignmentError(
        f"none of {len(places)} candidates can be compared with the suspect: "
        + "; ".join(reasons[:3])
        + more,
        code="no-candidate",
        where=own.locator,
        hint="name models of the suspect's architecture",
    )


def _known_already(
    found: Look, looks: Sequence[Look], given: Sequence[str], shared: SharedSession
) -> str | None:
    """A note when the candidate holds the very weights of a model that has a place already."""
    alike = [c.place for c in looks if _equal(c, found)]
    with open_checkpoint(found.place, session=shared.of(found.place)) as own:
        for place in (*given, *alike):
            try:
                with open_checkpoint(place, session=shared.of(place)) as other:
                    if same_weights(own, other):
                        return f"candidate {found.place}: set aside, it has the same weights as {place}"
            except ParentageError:
                continue  # it is refused by its own error where it is used
    return None


def _equal(first: Look, second: Look) -> bool:
    return first.deltas.keys() == second.deltas.keys() and all(
        np.array_equal(first.deltas[name], second.deltas[name]) for name in first.deltas
    )
