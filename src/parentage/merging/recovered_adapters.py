"""The recipe of adapters that an audit found combined over one base."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.checkpoints.locators import split_adapter
from parentage.records.evidence import Evidence
from parentage.records.recipe import AdapterEntry, Clause, ModelName, Recipe, Setting
from parentage.records.recognition import Finding, Recognition

__all__ = ["combined_adapters", "combined_recipe"]


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
