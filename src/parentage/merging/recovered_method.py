"""The recipe of a merge method that an audit recognised, as a file that merges and replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from parentage.records.absence import Absent
from parentage.records.evidence import Evidence
from parentage.records.recipe import Clause, ModelName, Recipe, Setting, SourceSlice
from parentage.records.recognition import MethodReplay, Numbers, Recognition

__all__ = ["recognised_recipe", "recognised_replay"]


def recognised_replay(found: Evidence) -> MethodReplay | None:
    """The suspect's replay of a method, where it gives every element that was replayed."""
    if not isinstance(found.recognition, Recognition):
        return None
    own = next((r for r in found.recognition.replays if r.subject == 0), None)
    return own if own is not None and own.matches == own.informative > 0 else None


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
        parameters=_settings(replay, lambda numbers: numbers.shared),
        dtype=names[replay.dtype],
        out_dtype=names[replay.out],
        profile=replay.arithmetic,
        seed=None if isinstance(replay.seed, Absent) else replay.seed,
    )


def _each(replay: MethodReplay, operand: int) -> dict[str, Setting]:
    def row(numbers: Numbers) -> Mapping[str, Any]:
        return numbers.each[operand] if numbers.each else {}

    return _settings(replay, row)


def _settings(replay: MethodReplay, row: Callable[[Numbers], Mapping[str, Any]]) -> dict[str, Setting]:
    # A filter holds for every name that contains it: the longer names come first.
    own = sorted(
        ((t.name, t.own) for t in replay.tensors if isinstance(t.own, Numbers)),
        key=lambda item: (-len(item[0]), item[0]),
    )
    found = {}
    for name, value in row(replay.numbers).items():
        clauses = [Clause(v, t) for t, numbers in own if (v := row(numbers).get(name, value)) != value]
        found[name] = Setting((*clauses, Clause(value)))
    return found
