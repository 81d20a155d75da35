"""The plan of a mixed merge: each part is planned as a merge of its own, and makes its tensors of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import RecipeError
from parentage.merging.layers import Layout, layer_of
from parentage.merging.planned import Dropped, Plan, PlannedTensor
from parentage.methods.mixed import MIXED
from parentage.records.recipe import ModelName, Recipe, RecipePart

__all__ = ["plan_of_parts"]

Opened = Mapping[ModelName, Checkpoint]


def plan_of_parts(recipe: Recipe, plan: Callable[[Recipe, Opened], Plan], opened: Opened) -> Plan:
    """``plan`` plans one part. Random draws of a part are those of its own merge of the whole model: so are
    the models made whose layers a passing-through puts together.

    Raises what planning a part raises.
    """
    plans = [plan(_alone(recipe, part), _named(opened, part.recipe)) for part in recipe.parts]
    last = plans[-1]
    trunk = last.layouts[last.template].trunk
    tensors = tuple(_chosen(recipe.parts, plans, trunk))
    layouts: dict[ModelName, Layout] = {}
    for one in plans:
        layouts.update(one.layouts)
    return replace(
        last,
        recipe=recipe,
        method=MIXED,
        profile=", ".join(dict.fromkeys(p.profile for p in plans)),
        layouts=layouts,
        tensors=tensors,
        dropped=tuple(_dropped(opened, tensors)),
        notes=tuple(dict.fromkeys(note for p in plans for note in p.notes)),
    )


def _alone(recipe: Recipe, part: RecipePart) -> Recipe:
    """A part as a recipe; what is stored is the same in all."""
    return replace(part.recipe, out_dtype=recipe.out_dtype, seed=part.recipe.seed or recipe.seed)


def _named(opened: Opened, recipe: Recipe) -> Opened:
    return {model: opened[model] for model in recipe.named_models()}


def _chosen(parts: Sequence[RecipePart], plans: Sequence[Plan], trunk: str) -> Iterator[PlannedTensor]:
    """Each tensor by the first part that holds and has it, in the order of the last part's."""
    made = [{t.name: t for t in plan.tensors} for plan in plans]
    for name in dict.fromkeys(n for own in reversed(made) for n in own):
        layer = layer_of(name, trunk)
        for part, own in zip(parts, made, strict=True):
            if name in own and part.holds(name, layer):
                yield own[name]
                break
        else:
            raise RecipeError(
                f"{name} is in no part whose models have it",
                code="recipe-shape",
                where=name,
                hint="the last part takes what is left: its models must have it",
            )


def _dropped(opened: Opened, tensors: Sequence[PlannedTensor]) -> Iterator[Dropped]:
    used = {(id(part.checkpoint), part.tensor.name) for t in tensors for part in t.operands.parts}
    for model, checkpoint in opened.items():
        for name in checkpoint.tensors:
            if (id(checkpoint), name) not in used:
                yield Dropped(model, name, "nothing in the output is made of it")
