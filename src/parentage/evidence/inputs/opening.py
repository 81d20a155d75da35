"""Open the models of an audit: each once, each with a name of its own and a role."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from parentage.checkpoints.adapters.settings import CONFIG
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.locators import at_revision, split_adapter
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.places import model_files
from parentage.checkpoints.remote.remote_limits import SharedSession
from parentage.checkpoints.twins import same_weights
from parentage.errors import InputMissingError, UsageError
from parentage.evidence.measure import AuditInputs, NamedCheckpoint
from parentage.records.evidence import ModelPin, ModelRole

__all__ = ["Wanted", "open_inputs", "open_pinned", "root_among", "wanted_models"]

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
    """Suspect, parents, base (unless it is a parent), previous, controls; refuses repeats.

    The folder of an adapter stands for the model that it makes of the base.
    """
    over = _base_of_adapters(parents, base)
    suspect, previous = over(suspect), None if previous is None else over(previous)
    parents, controls = [over(p) for p in parents], [over(c) for c in controls]
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


def _base_of_adapters(parents: Sequence[str], base: str | None) -> Callable[[str], str]:
    """The place that is meant by a place: ``BASE+ADAPTER`` where it is an adapter alone."""
    models = [base] if base is not None else [p for p in parents if not _is_adapter_alone(p)]

    def over(place: str) -> str:
        if not _is_adapter_alone(place):
            return place
        if len(models) != 1:
            raise UsageError(
                "this is an adapter alone, and of which model is not said",
                code="usage-adapter-alone",
                where=place,
                hint="name it BASE+ADAPTER, or give its base with --base",
            )
        return f"{models[0]}+{place}"

    return over


def _is_adapter_alone(place: str) -> bool:
    return split_adapter(place) is None and os.path.isfile(os.path.join(place, CONFIG))


def _among(one: str, others: Sequence[str]) -> bool:
    files = model_files(one)
    return any(files.same_as(model_files(other)) for other in others)


def _refuse_repeats(wanted: Sequence[Wanted]) -> None:
    files = [model_files(w.place) for w in wanted]
    for k, model in enumerate(wanted):
        for earlier, other in zip(wanted[:k], files, strict=False):
            if files[k].same_as(other):
                raise UsageError(
                    f"one model is given as {earlier.role.value} and as {model.role.value}",
                    code="usage-repeated-model",
                    where=model.place,
                    hint="name each model once; a model cannot explain itself",
                )


def root_among(wanted: Sequence[Wanted], root: str | None) -> int | None:
    """The index of the model that the others are known to have been made from.

    Raises ``UsageError`` (``usage-root``) where it is none of the parents, the base and the controls.
    """
    if root is None:
        return None
    files, known = model_files(root), (ModelRole.PARENT, ModelRole.BASE, ModelRole.CONTROL)
    for index, model in enumerate(wanted):
        if model.role in known and files.same_as(model_files(model.place)):
            return index
    raise UsageError(
        "the root is none of the models that the suspect is compared with",
        code="usage-root",
        where=root,
        hint="give it with -p, --base or -c as well",
    )


def open_inputs(
    stack: ExitStack,
    wanted: Sequence[Wanted],
    shared: SharedSession | None = None,
    root: str | None = None,
) -> AuditInputs:
    """Open all, to be closed by ``stack``; names are the shortest tails of paths that differ.

    ``shared``: connections, limits and slices of the models over a network; ``root``: as of ``root_among``.
    """
    index = root_among(wanted, root)
    names = _display_names([w.place for w in wanted])
    shared = SharedSession(stack) if shared is None else shared
    opened = [stack.enter_context(open_checkpoint(w.place, session=shared.of(w.place))) for w in wanted]
    _refuse_twins(wanted, opened)
    for checkpoint in opened:
        checkpoint.bytes_read = 0  # the evidence counts what was measured
    return AuditInputs(
        tuple(
            NamedCheckpoint(name, w.role, checkpoint)
            for w, name, checkpoint in zip(wanted, names, opened, strict=True)
        ),
        index,
    )


def _refuse_twins(wanted: Sequence[Wanted], opened: Sequence[Checkpoint]) -> None:
    """Sources with equal bytes are one source: nothing tells them apart, and one explains nothing of
    the other. The suspect may be a copy of any of them, and an earlier upload may be one too."""
    compared = [
        (w, c)
        for w, c in zip(wanted, opened, strict=True)
        if w.role not in (ModelRole.SUSPECT, ModelRole.PREVIOUS)
    ]
    for k, (model, checkpoint) in enumerate(compared):
        for earlier, other in compared[:k]:
            if same_weights(other, checkpoint):
                raise UsageError(
                    f"the {model.role.value} has the same weights as the {earlier.role.value} "
                    f"{earlier.place}",
                    code="usage-repeated-model",
                    where=model.place,
                    hint="give one of the two",
                )


def open_pinned(
    stack: ExitStack,
    pins: Sequence[ModelPin],
    places: Mapping[str, str],
    shared: SharedSession | None = None,
    root: int | None = None,
) -> AuditInputs:
    """Open what an evidence pinned, from where it lay or from ``places`` by the models' names; ``root``:
    which of them it says to be known as such."""
    unknown = sorted(set(places) - {p.name for p in pins})
    if unknown:
        raise UsageError(
            f"the evidence names no model {unknown[0]!r}",
            code="usage-model",
            hint="it names " + ", ".join(p.name for p in pins if p.role is not ModelRole.SHUFFLED),
        )
    shared = SharedSession(stack) if shared is None else shared
    return AuditInputs(
        tuple(
            NamedCheckpoint(pin.name, pin.role, stack.enter_context(_open_pinned(pin, places, shared)))
            for pin in pins
            if pin.role is not ModelRole.SHUFFLED
        ),
        root,
    )


def _open_pinned(pin: ModelPin, places: Mapping[str, str], shared: SharedSession) -> Checkpoint:
    try:
        # A branch may have moved on: the commit that was examined is what is meant.
        revision = pin.revision if isinstance(pin.revision, str) else None
        place = places.get(pin.name) or at_revision(pin.locator, revision)
        return open_checkpoint(place, session=shared.of(place))
    except InputMissingError as error:
        raise InputMissingError(
            f"the {pin.role.value} {pin.name}: {error.message}",
            code=error.code,
            where=error.where,
            hint=f"--model {pin.name}=PATH says where it lies now",
        ) from None


def _display_names(places: Sequence[str]) -> list[str]:
    """The shortest tails of paths that differ; of a base with an adapter, of both."""
    pairs = [split_adapter(place) or (place,) for place in places]
    flat = list(dict.fromkeys(part for pair in pairs for part in pair))
    tails = dict(zip(flat, _tails(flat), strict=True))
    return ["+".join(tails[part] for part in pair) for pair in pairs]


def _tails(places: Sequence[str]) -> list[str]:
    parts = [Path(p).absolute().parts for p in places]
    names = []
    for own in parts:
        depth = 1
        while depth < len(own) and sum(p[-depth:] == own[-depth:] for p in parts) > 1:
            depth += 1
        names.append("/".join(own[-depth:]))
    return names
