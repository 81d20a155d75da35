"""Open the models of an audit: each once, each with a name of its own and a role."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from parentage.checkpoints.local import open_checkpoint
from parentage.errors import UsageError
from parentage.evidence.measure import AuditInputs, NamedCheckpoint
from parentage.records.evidence import ModelPin, ModelRole

__all__ = ["Wanted", "open_inputs", "open_pinned", "wanted_models"]

# Pairs of parents, weights and the linear programme are built for so many.
MOST_PARENTS = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """A place and what the model there is given as."""

    place: str
    role: ModelRole


def wanted_models(
    suspect: str,
    parents: Sequence[str],
    controls: Sequence[str],
    base: str | None,
    previous: str | None,
) -> tuple[Wanted, ...]:
    """Suspect, parents, base (unless it is a parent), previous, controls; refuses repeats."""
    wanted = [Wanted(suspect, ModelRole.SUSPECT), *(Wanted(p, ModelRole.PARENT) for p in parents)]
    if base is not None and not _among(base, parents):
        wanted.append(Wanted(base, ModelRole.BASE))
    if previous is not None:
        wanted.append(Wanted(previous, ModelRole.PREVIOUS))
    wanted += [Wanted(c, ModelRole.CONTROL) for c in controls]
    if len(parents) > MOST_PARENTS:
        raise UsageError(
            f"{len(parents)} parents were given; at most {MOST_PARENTS} can be weighed at once",
            code="usage-too-many-parents",
            hint="give the likeliest as parents and the others as controls",
        )
    if len(wanted) == 1:
        raise UsageError(
            "nothing to compare the suspect with",
            code="usage-no-parents",
            hint="name parents with -p, or models to try with --candidates",
        )
    _refuse_repeats(wanted)
    return tuple(wanted)


def _among(one: str, others: Sequence[str]) -> bool:
    return os.path.realpath(one) in {os.path.realpath(o) for o in others}


def _refuse_repeats(wanted: Sequence[Wanted]) -> None:
    seen: dict[str, Wanted] = {}
    for model in wanted:
        real = os.path.realpath(model.place)
        if real in seen:
            raise UsageError(
                f"one model is given as {seen[real].role.value} and as {model.role.value}",
                code="usage-repeated-model",
                where=model.place,
                hint="name each model once; a model cannot explain itself",
            )
        seen[real] = model


def open_inputs(stack: ExitStack, wanted: Sequence[Wanted]) -> AuditInputs:
    """Open all, to be closed by ``stack``; names are the shortest tails of paths that differ."""
    names = _display_names([w.place for w in wanted])
    return AuditInputs(
        tuple(
            NamedCheckpoint(name, w.role, stack.enter_context(open_checkpoint(w.place)))
            for w, name in zip(wanted, names, strict=True)
        )
    )


def open_pinned(stack: ExitStack, pins: Sequence[ModelPin], places: Mapping[str, str]) -> AuditInputs:
    """Open what an evidence pinned, from where it lay or from ``places`` by the models' names."""
    unknown = sorted(set(places) - {p.name for p in pins})
    if unknown:
        raise UsageError(
            f"the evidence names no model {unknown[0]!r}",
            code="usage-model",
            hint="it names " + ", ".join(p.name for p in pins if p.role is not ModelRole.SHUFFLED),
        )
    return AuditInputs(
        tuple(
            NamedCheckpoint(
                pin.name,
                pin.role,
                stack.enter_context(open_checkpoint(places.get(pin.name, pin.locator))),
            )
            for pin in pins
            if pin.role is not ModelRole.SHUFFLED
        )
    )


def _display_names(places: Sequence[str]) -> list[str]:
    parts = [Path(p).absolute().parts for p in places]
    names = []
    for own in parts:
        depth = 1
        while depth < len(own) and sum(p[-depth:] == own[-depth:] for p in parts) > 1:
            depth += 1
        names.append("/".join(own[-depth:]))
    return names
