"""A plan, and what came of it, as the record that is kept with the merge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from parentage import __version__
from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.locators import PlaceKind, hub_model, place_kind
from parentage.merging.planned import Plan, PlannedTensor
from parentage.merging.recipe_writing import plain_recipe, recipe_digest
from parentage.merging.shards import Shard
from parentage.records.absence import Absent
from parentage.records.merge import CopiedTensor, DroppedTensor, MergedFile, MergeRecord, Parent, Placed
from parentage.records.recipe import ModelName

__all__ = ["parents_of", "placed", "record_of"]

NO_SHARE = Absent("this method gives no parent a share of each number")
NO_ID = Absent("neither its place nor its config says what it is called")
NO_LICENCE = Absent("it has no card, or the card names none")
NO_REVISION = Absent("a local folder has no revision")
ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,95}/[A-Za-z0-9][\w.\-]{0,95}", re.ASCII)
LICENCE = re.compile(r"^license:[ \t]*[\"']?([\w.\-+ ]{1,80}?)[\"']?[ \t]*$", re.MULTILINE)
LICENCE_NAME = re.compile(r"^license_name:[ \t]*[\"']?([\w.\-+ ]{1,80}?)[\"']?[ \t]*$", re.MULTILINE)


def record_of(
    plan: Plan, parents: Sequence[Parent], files: Sequence[MergedFile] = (), listed: Sequence[Placed] = ()
) -> MergeRecord:
    """The record; ``files`` empty for a plan that was not carried out."""
    return MergeRecord(
        tool={"name": "parentage", "version": __version__},
        recipe=plain_recipe(plan.recipe),
        recipe_sha256=recipe_digest(plan.recipe),
        method=plan.method.id,
        profile=plan.profile,
        seed=plan.seed,
        parents=tuple(parents),
        merged=sum(t.merged for t in plan.tensors),
        copied=tuple(CopiedTensor(t.name, t.reason) for t in plan.tensors if not t.merged),
        dropped=tuple(DroppedTensor(str(d.model), d.tensor, d.reason) for d in plan.dropped),
        notes=plan.notes,
        bytes_read=plan.bytes_read,
        bytes_written=plan.nbytes,
        files=tuple(files),
        placed=tuple(listed),
    )


def parents_of(
    plan: Plan, opened: Mapping[ModelName, Checkpoint], files: Mapping[ModelName, Sequence[MergedFile]]
) -> tuple[Parent, ...]:
    """Every model of the recipe, as it was found."""
    shares = _shares(plan)
    return tuple(
        Parent(
            name=str(model),
            locator=checkpoint.locator,
            revision=checkpoint.revision or NO_REVISION,
            id=_id(model, checkpoint),
            licence=_licence_of(checkpoint),
            share=shares.get(model, NO_SHARE),
            base=model in {r.base_model for r in (plan.recipe, *(p.recipe for p in plan.recipe.parts))},
            files=tuple(files[model]),
        )
        for model, checkpoint in opened.items()
    )


def placed(shards: Sequence[Shard]) -> Iterator[Placed]:
    """Every tensor of the output, where it goes."""
    for shard in shards:
        for tensor in shard.tensors:
            how = "merged" if tensor.merged else tensor.reason
            yield Placed(
                tensor.name, shard.name, tensor.dtype.value, tensor.shape, how, _parameters(tensor)
            )


def _parameters(tensor: PlannedTensor) -> dict[str, Any]:
    if tensor.parameters is None:
        return {}
    each = {str(m): dict(p) for m, p in zip(tensor.models, tensor.parameters.per_model, strict=True)}
    return {**tensor.parameters.shared, **{m: p for m, p in each.items() if p}}


def _shares(plan: Plan) -> dict[ModelName, float]:
    """Of a weighted sum: each model's weight, averaged over the numbers that were merged."""
    if plan.method.id != "linear":
        return {}
    sums: dict[ModelName, float] = {}
    elements = 0
    for tensor in plan.tensors:
        if tensor.parameters is None:
            continue
        weights = [float(p["weight"]) for p in tensor.parameters.per_model]
        whole = sum(weights) if tensor.parameters.shared["normalize"] else 1.0
        count = tensor.operands.elements
        for model, weight in zip(tensor.models, weights, strict=True):
            sums[model] = sums.get(model, 0.0) + weight / (whole or 1.0) * count
        elements += count
    # Twelve digits: sums over thousands of tensors do not carry more.
    return {model: round(total / elements, 12) for model, total in sums.items()}


def _id(model: ModelName, checkpoint: Checkpoint) -> str | Absent:
    """From the hub's address, the hub's cache, or what the config says of itself."""
    if place_kind(model.model) is PlaceKind.HUB:
        return hub_model(model.model).repository
    for part in Path(checkpoint.locator).absolute().parts:
        cached = re.fullmatch(r"models--([^-].*?)--(.+)", part)
        if cached and ID.fullmatch(f"{cached[1]}/{cached[2]}"):
            return f"{cached[1]}/{cached[2]}"
    own = (checkpoint.config or {}).get("_name_or_path")
    return own if isinstance(own, str) and ID.fullmatch(own) else NO_ID


def _licence_of(checkpoint: Checkpoint) -> str | Absent:
    """Of a base with an adapter both, where they are not the same."""
    if not isinstance(checkpoint, AdaptedCheckpoint):
        return _licence(checkpoint)
    base, adapter = _licence(checkpoint.base), _licence(checkpoint.adapter)
    if base == adapter:
        return base
    names = ["unknown" if isinstance(x, Absent) else x for x in (base, adapter)]
    return f"{names[0]} (base), {names[1]} (adapter)"


def _licence(checkpoint: Checkpoint) -> str | Absent:
    if "README.md" not in checkpoint.files:
        return NO_LICENCE
    text = checkpoint.read_text("README.md", 200_000).replace("\r\n", "\n")
    front = text[3:].split("\n---", 1)[0] if text.startswith("---") else ""
    found = LICENCE.search(front)
    named = LICENCE_NAME.search(front)
    if found is None:
        return NO_LICENCE
    return named[1] if found[1] == "other" and named else found[1]
