"""The recipe of adapters that an audit found combined over one base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from parentage.checkpoints.adapters.adapted import ADAPTER_FOLDER
from parentage.checkpoints.locators import PlaceKind, at_revision, hub_model, place_kind, split_adapter
from parentage.records.absence import Absent
from parentage.records.evidence import Evidence, ModelPin
from parentage.records.merge import MergedFile, Parent
from parentage.records.recipe import AdapterEntry, Clause, ModelName, Recipe, Setting
from parentage.records.recognition import Finding, Recognition

__all__ = ["adapter_parents", "combined_adapters", "combined_recipe"]

NO_LICENCE: Final = Absent("an audit does not record licences")
NO_ID: Final = Absent("its place does not say what it is called")
NO_REVISION: Final = Absent("its place has no revision, or the audit did not learn it")
NO_SHARE: Final = Absent("an adapter adds to its base: no parent has a share of each number")


def combined_adapters(found: Evidence) -> Finding | None:
    """Adapters whose combination gives every number that differs from the base's, the last bits of singular
    values aside; None where tensors that no adapter changes differ as well."""
    if not isinstance(found.recognition, Recognition):
        return None
    own = next((f for f in found.recognition.findings if f.kind == "adapters"), None)
    if own is None or own.measures["elsewhere"] or len(_pairs(found, own)) < len(own.models) - 1:
        return None
    told = own.measures["matches"] + own.measures.get("adjacent", 0)
    return own if told == own.measures["informative"] > 0 else None


def adapter_parents(found: Evidence, recipe: Recipe) -> Iterator[Parent]:
    """The base and each adapter of ``combined_recipe``, with their own files as the audit pinned them."""
    pins = {pair: pin for pin in found.models if (pair := _pair_of(pin)) is not None}
    base = str(recipe.base_model)
    first = next(pin for (own, _), pin in pins.items() if own == base)
    yield _parent(base, first, adapter=False)
    for entry in recipe.adapters:
        yield _parent(entry.place, pins[base, entry.place], adapter=True)


def _pair_of(pin: ModelPin) -> tuple[str, str] | None:
    return split_adapter(at_revision(pin.locator, pin.revision if isinstance(pin.revision, str) else None))


def _parent(place: str, pin: ModelPin, *, adapter: bool) -> Parent:
    hub = place_kind(place) is PlaceKind.HUB
    return Parent(
        name=place,
        locator=place,
        revision=(hub_model(place).revision if hub else None) or NO_REVISION,
        id=hub_model(place).repository if hub else NO_ID,
        licence=NO_LICENCE,
        share=NO_SHARE,
        base=not adapter,
        files=tuple(
            MergedFile(s.name.removeprefix(ADAPTER_FOLDER), s.size, s.sha256)
            for s in pin.shards
            if s.name.startswith(ADAPTER_FOLDER) is adapter
        ),
    )


def _pairs(found: Evidence, own: Finding) -> list[tuple[str, str]]:
    pairs = (split_adapter(found.models[k].locator) for k in own.models[1:])
    return [pair for pair in pairs if pair is not None]


def combined_recipe(own: Finding, places: Sequence[str]) -> Recipe:
    """``places``: of the models, each a base with an adapter, at the revisions that were examined."""
    pairs = [pair for place in places if (pair := split_adapter(place)) is not None]
    measures = own.measures
    return Recipe(
        method=measures["method"],
        base_model=ModelName(pairs[0][0]),
        adapters=tuple(
            AdapterEntry(adapter, float(weight))
            for (_, adapter), weight in zip(pairs, measures["weights"], strict=True)
        ),
        parameters={name: Setting((Clause(value),)) for name, value in measures.get("shared", {}).items()},
        profile=measures["arithmetic"],
        seed=measures.get("seed"),
    )
