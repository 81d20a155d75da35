"""Models that are one base with an adapter each, and the matrices that their adapters change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.evidence.recognition.context import FLOATS, Context
from parentage.merging.adapters import Over
from parentage.merging.operands import Operand, Operands
from parentage.methods.method import Parameters, Profile, Value
from parentage.methods.registry import method
from parentage.records.tensors import Adapted, TensorRef

__all__ = ["AdapterSet", "Combined", "Target", "sets_of"]

# Adapters that are weighed at once: sixteen products of two factors each.
MOST: Final = 4
# A matrix whose factors hold more numbers is left out.
FACTORS: Final = 2**24


@dataclass(frozen=True, slots=True)
class Target:
    """A matrix that adapters change. ``how``: by model, None where its adapter leaves it alone."""

    name: str
    suspect: TensorRef
    base: TensorRef
    how: tuple[Adapted | None, ...]


@dataclass(frozen=True, slots=True)
class Combined:
    """A recipe that combines adapters; ``shared``: its numbers beside the weights."""

    method: str
    profile: str
    weights: tuple[float, ...]
    shared: Mapping[str, Value] = field(default_factory=dict)
    seed: int | None = None

    @property
    def loose(self) -> bool:
        """Are the last bits those of a tool's linear algebra?"""
        return self.method.endswith("svd")


@dataclass(frozen=True, slots=True)
class AdapterSet:
    """Models over one base, and the matrices that their adapters change."""

    models: tuple[int, ...]
    opened: tuple[AdaptedCheckpoint, ...]
    targets: tuple[Target, ...]

    def over(self, weights: Sequence[float]) -> Over:
        """The adapters at these weights."""
        return Over(self.opened, tuple(weights), tuple(m.adapter.locator for m in self.opened))

    @property
    def ranks(self) -> tuple[int, ...]:
        """The largest rank of each adapter."""
        additions = self.over([1.0] * len(self.models)).additions(self.targets[0].base.name)
        assert additions is not None
        return additions.ranks

    def operands(self, target: Target) -> Operands:
        """The base's matrix as a method reads it."""
        return Operands((Operand(self.opened[0], target.base),), target.base.shape, 0)

    def parameters(self, recipe: Combined, target: Target, drawn: int = 0) -> Parameters:
        """A recipe's numbers for one matrix."""
        found = self.over(recipe.weights).additions(target.base.name)
        return Parameters((), recipe.shared, recipe.seed or 0, drawn, additions=found)

    def drawn_before(self, recipe: Combined) -> dict[str, int]:
        """Random words that a tool took before each of the base's matrices, in the order of its modules."""
        rule = method(recipe.method)
        if rule.random is None or recipe.profile.startswith("parentage"):
            return {}
        over, targets = self.over(recipe.weights), {t.base.name: t for t in self.targets}
        drawn = over.words_before(over.rank_of(recipe.method, int(recipe.shared.get("svd_rank", 0))))
        before = {}
        for name in over.in_order(sorted({n for m in self.opened for n in m.adapted})):
            if name not in targets:
                # What it took is not known: nothing is said of what comes after.
                break
            before[name] = drawn
            target = targets[name]
            profile = Profile(recipe.profile, target.base.dtype, target.base.dtype)
            drawn += rule.draws(self.operands(target), self.parameters(recipe, target), profile)
        return before


def sets_of(context: Context) -> Iterator[AdapterSet]:
    """The adapters over each base, all of them and then fewer."""
    models = [k for k in context.sources if isinstance(context.checkpoints[k], AdaptedCheckpoint)]
    groups: dict[tuple[str, str | None], list[int]] = {}
    for k in models:
        base = _opened(k, context).base
        groups.setdefault((base.locator, base.revision), []).append(k)
    for group in groups.values():
        if len(group) > MOST:
            yield from (_set_of((k,), context) for k in group)
            continue
        for size in range(len(group), 0, -1):
            yield from (_set_of(some, context) for some in combinations(group, size))


def _opened(model: int, context: Context) -> AdaptedCheckpoint:
    found: Any = context.checkpoints[model]
    assert isinstance(found, AdaptedCheckpoint)
    return found


def _set_of(models: tuple[int, ...], context: Context) -> AdapterSet:
    opened = tuple(_opened(k, context) for k in models)
    targets = []
    for tensor in context.tensors:
        group = context.groups[tensor.name]
        refs = [group.others[k - 1] for k in models]
        if all(isinstance(r, TensorRef) for r in refs):
            found = _target(tensor.name, group.suspect, [r for r in refs if isinstance(r, TensorRef)])
            if found is not None:
                targets.append(found)
    return AdapterSet(models, opened, tuple(targets))


def _target(name: str, suspect: TensorRef, refs: Sequence[TensorRef]) -> Target | None:
    """None where no adapter changes it, or it is no plain matrix of two thin factors."""
    how = tuple(r.adapted for r in refs)
    base = next((h.base for h in how if h is not None), None)
    if base is None or len(base.shape) != 2 or suspect.dtype is not base.dtype or suspect.encoding:
        return None
    plain = suspect.dtype in FLOATS and suspect.shape == base.shape
    if not plain or any(r.transposed or r.pieces or r.order is not None for r in (suspect, *refs)):
        return None
    if any(h is not None and (h.magnitude is not None or h.saved is not None) for h in how):
        return None
    sizes = [h.a.elements + h.b.elements for h in how if h is not None and h.a and h.b]
    return Target(name, suspect, base, how) if sum(sizes) <= FACTORS else None
