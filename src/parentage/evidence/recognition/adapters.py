"""Known adapters over one base, combined with weights: which weights, and does the combination replay?

Where models are given as a base with an adapter each, the factors are known exactly, and so is what each
adapter would add. The suspect less the base is a sum of those changes (``adapter_cat``), or of all products
of two adapters' factors (``adapter_linear``). Least squares on exact regressors have no bias: the noise is
the suspect's rounding alone. They propose: the plainest numbers within their error are replayed whole, and
what is not replayed is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.errors import UsageError
from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import FLOATS, Context
from parentage.merging.adapters import Over
from parentage.merging.operands import Operand, Operands
from parentage.methods.adapters.factors import scaling_of
from parentage.methods.method import Parameters, Profile
from parentage.methods.registry import method
from parentage.numerics.feasible.candidates import near, simplest_in
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import to_float32, to_float64
from parentage.records.dtypes import DType
from parentage.records.recognition import Finding
from parentage.records.tensors import Adapted, TensorRef

__all__ = ["ADAPTERS", "KIND"]

KIND: Final = "adapters"
Matrix = NDArray[np.float64]
# Adapters that are weighed at once: sixteen products of two factors each.
MOST: Final = 4
# Tensors, rows and columns of a tensor that the weights are read from; elements that are replayed at most,
# but in a full audit.
TENSORS, ROWS, COLUMNS = 8, 16, 512
REPLAYED: Final = 2**25
# A matrix whose factors hold more numbers is left out.
FACTORS: Final = 2**24
# Standard errors within which plain numbers are looked for, how many of each, and recipes in all.
ERRORS, EACH, TRIED = 5.0, 3, 81
# peft's cat holds its factors in the base's 16 bits: how far that moves a weight at most.
HELD: Final = 2.0**-9
METHODS: Final = ("adapter_cat", "adapter_linear")
PROFILES: Final = ("peft", "parentage-1")


@dataclass(frozen=True, slots=True)
class _Target:
    """A matrix that adapters change. ``how``: by model, None where its adapter leaves it alone."""

    name: str
    suspect: TensorRef
    base: TensorRef
    how: tuple[Adapted | None, ...]


@dataclass(frozen=True, slots=True)
class _Set:
    """Models over one base, and the matrices that their adapters change."""

    models: tuple[int, ...]
    opened: tuple[AdaptedCheckpoint, ...]
    targets: tuple[_Target, ...]

    def over(self, weights: Sequence[float]) -> Over:
        return Over(self.opened, tuple(weights), tuple(m.adapter.locator for m in self.opened))


@dataclass(frozen=True, slots=True)
class _Recipe:
    method: str
    profile: str
    weights: tuple[float, ...]


def _find(context: Context) -> tuple[Finding, ...]:
    models = [k for k in context.sources if isinstance(context.checkpoints[k], AdaptedCheckpoint)]
    for group in _by_base(models, context):
        found = _explained(_set_of(group, context), context)
        if found is not None:
            return (found,)
    return ()


def _by_base(models: Sequence[int], context: Context) -> Iterator[tuple[int, ...]]:
    groups: dict[tuple[str, str | None], list[int]] = {}
    for k in models:
        base = _opened(k, context).base
        groups.setdefault((base.locator, base.revision), []).append(k)
    for group in groups.values():
        if len(group) <= MOST:
            yield tuple(group)
        yield from ((k,) for k in group if len(group) > 1)


def _opened(model: int, context: Context) -> AdaptedCheckpoint:
    found = context.checkpoints[model]
    assert isinstance(found, AdaptedCheckpoint)
    return found


def _set_of(models: tuple[int, ...], context: Context) -> _Set:
    opened = tuple(_opened(k, context) for k in models)
    targets = []
    for tensor in context.tensors:
        group = context.groups[tensor.name]
        refs = [group.others[k - 1] for k in models]
        if all(isinstance(r, TensorRef) for r in refs):
            found = _target(tensor.name, group.suspect, [r for r in refs if isinstance(r, TensorRef)])
            if found is not None:
                targets.append(found)
    return _Set(models, opened, tuple(targets))


def _target(name: str, suspect: TensorRef, refs: Sequence[TensorRef]) -> _Target | None:
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
    return _Target(name, suspect, base, how) if sum(sizes) <= FACTORS else None


def _explained(found: _Set, context: Context) -> Finding | None:
    """The first recipe that gives every element of every matrix; None where there is none."""
    if not found.targets:
        return None
    for recipe in _recipes(found, context):
        counts = _counted(found, recipe, context)
        if counts is not None:
            return _finding(found, recipe, counts, context)
    return None


def _recipes(found: _Set, context: Context) -> Iterator[_Recipe]:
    samples = [_sample(t, found, context) for t in _spread(found.targets)]
    for name in METHODS:
        estimate = _estimated(samples, crossed=name == "adapter_linear")
        if estimate is None:
            continue
        for profile in PROFILES:
            scale = _scale(found, name, profile)
            if scale is None:
                continue
            weights, errors = (x / scale for x in estimate)
            blur = HELD if (name, profile) == ("adapter_cat", "peft") else 1e-9
            plain = [
                _plain(w, max(ERRORS * e, blur * max(abs(w), 1.0)))
                for w, e in zip(weights, errors, strict=True)
            ]
            for numbers in islice(product(*plain), TRIED):
                if all(numbers):
                    yield _Recipe(name, profile, numbers)


def _plain(weight: float, radius: float) -> list[float]:
    """Numbers that a person may have typed, simplest first."""
    found = near(weight, radius, EACH) + simplest_in(weight - radius, weight + radius, EACH)
    return list(dict.fromkeys(found))[: EACH + 1]


def _scale(found: _Set, name: str, profile: str) -> float | None:
    """By what the outcome is multiplied beside the weights; None where its ranks cannot be combined."""
    additions = found.over([1.0] * len(found.models)).additions(found.targets[0].base.name)
    assert additions is not None
    rank = sum(additions.ranks) if name == "adapter_cat" else additions.ranks[0]
    if name == "adapter_linear" and len({*additions.ranks}) > 1:
        return None
    return scaling_of(rank, additions, Profile(profile, DType.F32, DType.F32))


def _spread(targets: Sequence[_Target]) -> Sequence[_Target]:
    return targets[:: max(1, -(-len(targets) // TENSORS))]


@dataclass(frozen=True, slots=True)
class _Sample:
    """The change [n] in widths of the suspect's cells, and products of factors [K, K, n] likewise: of the
    first adapter's B with the second's A, times the root of both scalings."""

    change: Matrix
    products: Matrix


def _sample(target: _Target, found: _Set, context: Context) -> _Sample:
    m, n = target.base.shape
    rows = np.unique(np.linspace(0, m - 1, min(m, ROWS)).astype(np.int64))
    width = min(n, COLUMNS)

    def block(read: Any, ref: TensorRef) -> NDArray[np.unsignedinteger]:
        return np.concatenate([read(ref, int(row) * n, width) for row in rows])

    bits = block(context.checkpoints[0].read, target.suspect)
    cells = rounding_cells(bits, target.suspect.dtype)
    widths = cells.high - cells.low
    base = to_float64(block(found.opened[0].read, target.base), target.base.dtype)
    change = to_float64(bits, target.suspect.dtype) - base
    sides = [_sides(h, o, rows, width) for h, o in zip(target.how, found.opened, strict=True)]
    products = np.zeros((len(sides), len(sides), change.size))
    for j, left in enumerate(sides):
        for i, right in enumerate(sides):
            if left is not None and right is not None and left[0].shape[1] == right[1].shape[0]:
                made = (left[0] @ right[1]).reshape(-1) * np.sqrt(abs(left[2] * right[2]))
                products[j, i] = made * np.sign(right[2])
    good = np.isfinite(change) & np.isfinite(widths) & (widths > 0)
    safe = np.where(good, widths, 1.0)
    return _Sample(np.where(good, change / safe, 0.0), np.where(good, products / safe, 0.0))


def _sides(
    how: Adapted | None, opened: AdaptedCheckpoint, rows: NDArray[np.int64], width: int
) -> tuple[Matrix, Matrix, float] | None:
    """[rows, rank], [rank, columns] and the scaling of one adapter."""
    if how is None or how.a is None or how.b is None:
        return None
    a, b = (
        to_float32(opened.read(f, 0, f.elements), f.dtype).reshape(f.shape).astype(np.float64)
        for f in (how.a, how.b)
    )
    left, right = (a.T, b.T) if how.turned else (b, a)
    return left[rows], right[:, :width], how.scaling


def _estimated(samples: Sequence[_Sample], *, crossed: bool) -> tuple[Matrix, Matrix] | None:
    """Weights [K] and their standard errors; None where the regressors do not tell them apart."""
    count = samples[0].products.shape[0]
    own = [(k, k) for k in range(count)]
    terms = own + [(j, i) for j in range(count) for i in range(count) if crossed and i != j]
    matrix = np.concatenate([np.stack([s.products[t] for t in terms], axis=1) for s in samples])
    change = np.concatenate([s.change for s in samples])
    gram = matrix.T @ matrix
    if not np.all(np.isfinite(gram)) or np.linalg.cond(gram) > 1e12:
        return None
    solved = np.linalg.solve(gram, matrix.T @ change)
    left = change - matrix @ solved
    # Rounding alone leaves a twelfth; a floor, for the errors of the estimate are not known better.
    variance = max(float(np.mean(left**2)), 1 / 12)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(gram)))
    return solved[:count], errors[:count]


@dataclass(frozen=True, slots=True)
class _Counts:
    tensors: tuple[str, ...]
    informative: int
    left: int


def _counted(found: _Set, recipe: _Recipe, context: Context) -> _Counts | None:
    """Matrices replayed, the smallest first; None at the first element that does not come out."""
    names, informative, seen = list[str](), 0, 0
    targets = sorted(found.targets, key=lambda t: (t.base.elements, t.name))
    for target in targets:
        if names and seen + target.base.elements > REPLAYED and not context.full:
            break
        changed = _replayed(target, found, recipe, context)
        if changed is None:
            return None
        names.append(target.name)
        informative, seen = informative + changed, seen + target.base.elements
    return _Counts(tuple(names), informative, len(targets) - len(names)) if informative else None


def _replayed(target: _Target, found: _Set, recipe: _Recipe, context: Context) -> int | None:
    """How many elements of the base changed, where every one of them comes out."""
    additions = found.over(recipe.weights).additions(target.base.name)
    reader = Operands((Operand(found.opened[0], target.base),), target.base.shape, 0)
    dtype = target.base.dtype
    try:
        rule = method(recipe.method).prepare(
            reader, Parameters(additions=additions), Profile(recipe.profile, dtype, dtype), target.name
        )
    except UsageError:
        # Factors of different ranks, or with what is no number: no recipe of this method.
        return None
    changed = 0
    for start, values in reader.chunks(rows=True):
        own = context.checkpoints[0].read(target.suspect, start, values.shape[1])
        if not np.array_equal(rule.apply(start, values), own):
            return None
        changed += int(np.count_nonzero(to_float32(own, dtype) != values[0]))
    return changed


def _finding(found: _Set, recipe: _Recipe, counts: _Counts, context: Context) -> Finding:
    additions = found.over(recipe.weights).additions(found.targets[0].base.name)
    assert additions is not None
    touched = {t.name for t in found.targets}
    first = found.models[0]
    elsewhere = [
        t.name
        for t in context.tensors
        if t.name not in touched and first in t.present and t.equal[first - 1] < t.finite
    ]
    measures: dict[str, Any] = {
        "method": recipe.method,
        "arithmetic": recipe.profile,
        "weights": list(recipe.weights),
        "ranks": list(additions.ranks),
        "scalings": [_scaling_of(found, k) for k in range(len(found.models))],
        "informative": counts.informative,
        "matches": counts.informative,
        "replayed": len(counts.tensors),
        "left": counts.left,
        "elsewhere": len(elsewhere),
    }
    return Finding(KIND, (0, *found.models), counts.tensors, measures)


def _scaling_of(found: _Set, k: int) -> float:
    """Of the first matrix that the adapter changes."""
    return next(how.scaling for t in found.targets if (how := t.how[k]) is not None)


def _nothing(context: Context) -> Iterable[Candidate]:
    return ()


ADAPTERS: Final = Recogniser(KIND, _nothing, find=_find)
