"""Fingerprints of layers: the same few places of the same matrices in every layer of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.counterparts import counterpart, own_shape
from parentage.architectures.naming import Holder, Naming
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.numerics.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.tensors import TensorRef

__all__ = ["Likeness", "compare_layers"]

Floats = NDArray[np.float64]
# Eight matrices at four places of 256 numbers: unrelated layers correlate by 1/sqrt(8,192) = .011, so that
# .5 is 45 standard deviations away; a model of 100 layers is printed from 1.6 MB in 16 bits.
ROLES = 8
RUNS = 4
RUN = 256
LEAST = 256
# Each layer is compared with each; the deepest models have some 130.
MOST_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class Likeness:
    """``correlation[i, j]``: of layer ``own[i]`` with layer ``theirs[j]``, mean over the matrices that both
    have; NaN where they share none."""

    own: tuple[int, ...]
    theirs: tuple[int, ...]
    correlation: Floats


def compare_layers(mine: Naming, theirs: Naming, stack: str) -> Likeness | None:
    """Every layer of a stack with every layer of the other's; None where too few numbers tell."""
    own, other = mine.layers(stack), theirs.layers(stack)
    if max(len(own), len(other)) > MOST_LAYERS:
        return None
    total = np.zeros((len(own), len(other)))
    count = np.zeros_like(total)
    numbers = 0
    for role, holders in _roles(mine, stack).items():
        printed = _print_role(role, holders, own, other, mine, theirs)
        if printed is None:
            continue
        first, second, size = printed
        numbers += size
        found = _correlate(first, second)
        known = np.isfinite(found)
        total[known] += found[known]
        count += known
    if numbers < LEAST:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return Likeness(own, other, total / count)


Key = tuple[str, str]


def _roles(mine: Naming, stack: str) -> dict[Key, dict[int, Holder]]:
    """Up to eight matrices of a layer, spread over those that the suspect has; by layer."""
    found: dict[Key, dict[int, Holder]] = {}
    for holder in mine.holders.values():
        held = holder.held
        single = held.expert is None and not held.part.experts and not held.part.refused
        if held.stack == stack and held.layer is not None and single and _is_matrix(holder.ref):
            found.setdefault((held.part.roles[0], held.leaf), {})[held.layer] = holder
    order = sorted(found)
    step = max(1, -(-len(order) // ROLES))
    return {key: found[key] for key in order[::step]}


def _is_matrix(ref: TensorRef) -> bool:
    return ref.dtype.is_float and len([n for n in ref.shape if n > 1]) >= 2


def _print_role(
    role: Key,
    holders: dict[int, Holder],
    own: Sequence[int],
    other: Sequence[int],
    mine: Naming,
    theirs: Naming,
) -> tuple[Floats, Floats, int] | None:
    """Printed numbers of one matrix in each layer [layers, n], NaN where a layer has none of it."""
    template = next(iter(holders.values()))
    shape = own_shape(template)
    starts, length = _places(int(np.prod(shape, dtype=np.int64)))
    first = np.full((len(own), starts.size * length), np.nan)
    second = np.full((len(other), starts.size * length), np.nan)
    for row, layer in zip(first, own, strict=True):
        if layer in holders and own_shape(holders[layer]) == shape:
            ref = mine.checkpoint.tensors[holders[layer].ref.name]
            row[:] = _read(mine.checkpoint, ref, starts, length)
    for row, layer in zip(second, other, strict=True):
        match = counterpart(template, mine, theirs, layer)
        if not isinstance(match, Absent) and match.ref.shape == shape and match.ref.dtype.is_float:
            row[:] = _read(theirs.checkpoint, match.ref, starts, length)
    return first, second, first.shape[1]


def _places(elements: int) -> tuple[NDArray[np.int64], int]:
    """The same for every layer; the whole of a small matrix."""
    length = min(RUN, elements)
    if elements <= RUNS * RUN:
        return np.zeros(1, np.int64), elements
    return np.linspace(0, elements - length, RUNS).astype(np.int64), length


def _read(checkpoint: Checkpoint, ref: TensorRef, starts: NDArray[np.int64], length: int) -> Floats:
    values = to_float64(checkpoint.read_blocks(ref, starts, length).reshape(-1), ref.dtype)
    return np.where(np.isfinite(values), values, 0.0)


def _correlate(first: Floats, second: Floats) -> Floats:
    """Correlation of each row with each; NaN where a row is missing or flat."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rows = [r - r.mean(axis=1, keepdims=True) for r in (first, second)]
        unit = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in rows]
        return np.asarray(unit[0] @ unit[1].T, np.float64)
