"""What a recipe's parameters come to for one tensor: filters, gradients over depth, precedence.

As mergekit 0.1.5 resolves them (``mergekit/config.py``, ``parameter_resolver.py``): a source's own
settings come before its slice's, the slice's before the recipe's; the first clause whose filter occurs in
the tensor's name counts; a gradient's numbers lie evenly over the slice's layers, linear between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from parentage.errors import RecipeError, UsageError
from parentage.methods.method import BASE_IGNORED, Declared, Method, Parameters, Value
from parentage.records.recipe import Recipe, Scalar, Setting, Settings, SourceSlice

__all__ = ["WITHOUT_EFFECT", "Group", "evaluate", "resolve", "unknown_parameters"]

# What mergekit's files carry and no arithmetic depends on.
WITHOUT_EFFECT: Final = {"int8_mask": "int8_mask saves memory in mergekit and moves no weight: ignored"}


@dataclass(frozen=True, slots=True)
class Group:
    """The sources that one tensor is made of: a slice's, or the recipe's models. ``base``: which of
    ``sources`` is the base, or None. ``parameters``: the slice's own."""

    sources: tuple[SourceSlice, ...]
    base: int | None
    parameters: Settings


def evaluate(setting: Setting, declared: Declared, tensor: str, t: float) -> Value | None:
    """The setting's value for a tensor at depth ``t`` in [0, 1]; None where no clause fits.

    Raises ``RecipeError`` (``recipe-parameter``) for a value of another kind than declared.
    """
    for clause in setting.clauses:
        if clause.filter is None or clause.filter == "*" or (tensor and clause.filter in tensor):
            if isinstance(clause.value, tuple):
                return _along(clause.value, declared, t, setting)
            return _kind(clause.value, declared, setting)
    return None


def _along(values: Sequence[Scalar], declared: Declared, t: float, setting: Setting) -> Value:
    found = [_kind(v, declared, setting) for v in values]
    if declared.kind == "switch":
        return found[int(t * (len(found) - 1))]
    scaled = t * (len(found) - 1)
    low = int(scaled)
    high, share = min(len(found) - 1, low + 1), scaled - low
    mixed = (1 - share) * float(found[low]) + share * float(found[high])
    return _kind(mixed, declared, setting)


def _kind(value: Scalar, declared: Declared, setting: Setting) -> Value:
    found: Value | None
    if declared.kind == "switch":
        found = _switch(value)
    else:
        found = None if isinstance(value, bool) and declared.kind == "count" else _number(value, declared)
    if found is None:
        wanted = "true or false" if declared.kind == "switch" else f"a {declared.kind}"
        raise RecipeError(
            f"{declared.name}: {value!r} is not {wanted}",
            code="recipe-parameter",
            where=f"line {setting.line}" if setting.line else "",
            hint=declared.about,
        )
    return found


def _switch(value: Scalar) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value) if value in (0, 1) else None


def _number(value: Scalar, declared: Declared) -> Value | None:
    """A number; YAML 1.1 reads ``1e-3`` as text."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if declared.kind == "count":
        return int(number) if number == int(number) else None
    return number


def resolve(
    recipe: Recipe,
    group: Group,
    method: Method,
    tensor: str,
    inputs: Sequence[str],
    t: float,
    seed: int,
) -> Parameters:
    """All parameters of one tensor, checked against their declared bounds; defaults filled in.

    ``tensor``: its name in the output; ``inputs``: its names in the sources. Raises ``RecipeError``
    (``recipe-parameter``, ``recipe-parameter-missing``) naming the tensor and, where it is known, the line.
    """
    shared = {
        d.name: _resolved(d, (group.parameters, recipe.parameters), tensor, t)
        for d in method.parameters
        if not d.per_model
    }
    each = []
    for k, (source, name) in enumerate(zip(group.sources, inputs, strict=True)):
        if k == group.base and method.base != BASE_IGNORED:
            each.append(dict[str, Value]())
            continue
        # A model that is a source twice has the settings of its first mention that fit.
        own = [s.parameters for s in group.sources if s.model == source.model]
        scopes = (*own, group.parameters, recipe.parameters)
        each.append({d.name: _resolved(d, scopes, name, t) for d in method.parameters if d.per_model})
    return Parameters(tuple(each), shared, seed)


def _resolved(declared: Declared, scopes: Iterable[Settings], tensor: str, t: float) -> Value:
    line = 0
    value: Value | None = None
    for scope in scopes:
        setting = scope.get(declared.name)
        if setting is not None and value is None:
            value, line = evaluate(setting, declared, tensor, t), setting.line
    value = declared.default if value is None else value
    try:
        return declared.check(value)
    except UsageError as error:
        where = f"line {line}, {tensor}" if line else tensor
        if error.code == "parameter-missing":
            raise RecipeError(
                error.message, code="recipe-parameter-missing", where=where, hint=declared.about
            ) from None
        raise RecipeError(error.message, code="recipe-parameter", where=where, hint=error.hint) from None


def unknown_parameters(recipe: Recipe, method: Method) -> tuple[tuple[str, int], ...]:
    """Parameters that the method does not have, with their lines; those without effect left out."""
    scopes: list[Mapping[str, Setting]] = [recipe.parameters]
    for part in recipe.slices:
        scopes += [part.parameters, *(s.parameters for s in part.sources)]
    scopes += [s.parameters for s in recipe.models]
    known = {d.name for d in method.parameters} | set(WITHOUT_EFFECT)
    return tuple((name, s.line) for scope in scopes for name, s in scope.items() if name not in known)
