"""The recipe of a merge method that an audit recognised, as a file that merges and replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from parentage.records.absence import Absent
from parentage.records.evidence import Evidence
from parentage.records.recipe import Clause, ModelName, Recipe, RecipePart, Setting, SourceSlice
from parentage.records.recognition import MethodReplay, Numbers, Recognition

__all__ = ["mixed_recipe", "recognised_parts", "recognised_recipe", "recognised_replay"]


def recognised_replay(found: Evidence) -> MethodReplay | None:
    """The suspect's replay of a method, where it gives every element that was replayed."""
    if not isinstance(found.recognition, Recognition):
        return None
    own = next((r for r in found.recognition.replays if r.subject == 0), None)
    return own if own is not None and own.matches == own.informative > 0 else None


def recognised_parts(found: Evidence) -> tuple[MethodReplay, ...]:
    """The suspect's parts, in order; one where a blend's weights run over the model."""
    if not isinstance(found.recognition, Recognition):
        return ()
    return tuple(p for p in found.recognition.parts if p.subject == 0)


def mixed_recipe(
    parts: Sequence[MethodReplay], place: Callable[[int], str], names: Mapping[str, str], out: str
) -> Recipe:
    """Several rules in one recipe, stored as ``out``; the last part takes what is left."""
    return Recipe(
        method="mixed",
        out_dtype=names[out],
        parts=tuple(_part(part, place, names, last=part is parts[-1]) for part in parts),
    )


def _part(
    part: MethodReplay, place: Callable[[int], str], names: Mapping[str, str], *, last: bool
) -> RecipePart:
    recipe = replace(recognised_recipe(part, place, names), out_dtype=None)
    if part.method == "passthrough":
        recipe = replace(recipe, dtype=None, models=tuple(SourceSlice(s.model) for s in recipe.models))
    if last:
        return RecipePart(recipe)
    where = part.where
    layers = None if isinstance(where.layers, Absent) else where.layers
    return RecipePart(recipe, layers, where.filters, where.tensors)


def recognised_recipe(
    replay: MethodReplay, place: Callable[[int], str], names: Mapping[str, str]
) -> Recipe:
    """``place``: where a model lies; ``names``: of dtypes, as recipes spell them.

    Numbers of single tensors stand before the rest, by the tensors' names.
    """
    base = None if isinstance(replay.base, Absent) else ModelName(place(replay.operands[replay.base]))
    models = tuple(
        SourceSlice(ModelName(place(model)), None, _each(replay, k))
        for k, model in enumerate(replay.operands)
    )
    return Recipe(
        method=replay.method,
        models=models,
        base_model=base,
        parameters=_settings(replay, None, lambda numbers: numbers.shared),
        dtype=names[replay.dtype],
        out_dtype=names.get(replay.out),
        profile=replay.arithmetic,
        seed=None if isinstance(replay.seed, Absent) else replay.seed,
    )


def _each(replay: MethodReplay, operand: int) -> dict[str, Setting]:
    def row(numbers: Numbers) -> Mapping[str, Any]:
        return numbers.each[operand] if numbers.each else {}

    return _settings(replay, operand, row)


def _settings(
    replay: MethodReplay, operand: int | None, row: Callable[[Numbers], Mapping[str, Any]]
) -> dict[str, Setting]:
    # A filter holds for every name that contains it: the longer names come first.
    own = sorted(
        ((t.name, t.own) for t in replay.tensors if isinstance(t.own, Numbers)),
        key=lambda item: (-len(item[0]), item[0]),
    )
    found = {}
    for name, value in row(replay.numbers).items():
        course = _course(replay, operand, name)
        if course is not None:
            found[name] = course
            continue
        clauses = [Clause(v, t) for t, numbers in own if (v := row(numbers).get(name, value)) != value]
        found[name] = Setting((*clauses, Clause(value)))
    return found


def _course(replay: MethodReplay, operand: int | None, parameter: str) -> Setting | None:
    """A number that runs over the model, as gradients and filters of names."""
    for course in replay.courses:
        whose = None if isinstance(course.operand, Absent) else course.operand
        if (whose, course.parameter) == (operand, parameter):
            rows = (
                (c.values if len(c.values) > 1 else c.values[0], c.filter or None) for c in course.clauses
            )
            return Setting(tuple(Clause(value, chosen) for value, chosen in rows))
    return None
