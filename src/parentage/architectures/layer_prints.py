"""Fingerprints of layers: the same few places of the same matrices in every layer of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.counterparts import counterpart, own_shape
from parentage.architectures.naming import Holder, Naming
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.numerics.storage.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.tensors import TensorRef

__all__ = ["AFAR", "HERE", "Likeness", "Look", "compare_layers", "layer_slices"]

Floats = NDArray[np.float64]
LEAST = 256
# Each layer is compared with each; the deepest models have some 130.
MOST_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class Look:
    """How many matrices of each layer are looked at, at how many places, and how many numbers at each."""

    roles: int
    runs: int
    run: int


# Eight matrices at four places of 256 numbers: unrelated layers correlate by 1/sqrt(8,192) = .011, so that
# .5 is 45 standard deviations away; a model of 100 layers is printed from 1.6 MB in 16 bits.
HERE = Look(8, 4, 256)
# Over a network a request is dear and its length is not: 300 of them for 100 layers, .018 by chance.
AFAR = Look(3, 1, 1024)


@dataclass(frozen=True, slots=True)
class Likeness:
    """``correlation[i, j]``: of layer ``own[i]`` with layer ``theirs[j]``, mean over the matrices that both
    have; NaN where they share none."""

    own: tuple[int, ...]
    theirs: tuple[int, ...]
    correlation: Floats


def compare_layers(mine: Naming, theirs: Naming, stack: str, look: Look = HERE) -> Likeness | None:
    """Every layer of a stack with every layer of the other's; None where too few numbers tell."""
    own, other = mine.layers(stack), theirs.layers(stack)
    if max(len(own), len(other)) > MOST_LAYERS:
        return None
    total = np.zeros((len(own), len(other)))
    count = np.zeros_like(total)
    numbers = 0
    for holders in _roles(mine, stack, look.roles).values():
        printed = _print_role(holders, own, other, mine, theirs, look)
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


def _roles(mine: Naming, stack: str, most: int) -> dict[Key, dict[int, Holder]]:
    """Up to ``most`` matrices of a layer, spread over those that the suspect has; by layer."""
    found: dict[Key, dict[int, Holder]] = {}
    for holder in mine.holders.values():
        held = holder.held
        single = held.expert is None and not held.part.experts and not held.part.refused
        if held.stack == stack and held.layer is not None and single and _is_matrix(holder.ref):
            found.setdefault((held.part.roles[0], held.leaf), {})[held.layer] = holder
    order = sorted(found)
    step = max(1, -(-len(order) // most))
    return {key: found[key] for key in order[::step]}


def _is_matrix(ref: TensorRef) -> bool:
    return ref.dtype.is_float and len([n for n in ref.shape if n > 1]) >= 2


def _print_role(
    holders: dict[int, Holder],
    own: Sequence[int],
    other: Sequence[int],
    mine: Naming,
    theirs: Naming,
    look: Look,
) -> tuple[Floats, Floats, int] | None:
    """Printed numbers of one matrix in each layer [layers, n], NaN where a layer has none of it."""
    first, second, places = _refs(holders, own, other, mine, theirs, look)
    printed = (
        _print_layers(mine.checkpoint, first, own, places),
        _print_layers(theirs.checkpoint, second, other, places),
    )
    return *printed, printed[0].shape[1]


Places = tuple[NDArray[np.int64], int]
Refs = dict[int, TensorRef]


def _refs(
    holders: dict[int, Holder],
    own: Sequence[int],
    other: Sequence[int],
    mine: Naming,
    theirs: Naming,
    look: Look,
) -> tuple[Refs, Refs, Places]:
    """One matrix in each layer of both models, and the places that are read of it."""
    template = next(iter(holders.values()))
    shape = own_shape(template)
    same = (n for n in own if n in holders and own_shape(holders[n]) == shape)
    first = {n: mine.checkpoint.tensors[holders[n].ref.name] for n in same}
    matches = ((n, counterpart(template, mine, theirs, n)) for n in other)
    second = {
        n: m.ref
        for n, m in matches
        if not isinstance(m, Absent) and m.ref.shape == shape and m.ref.dtype.is_float
    }
    afar = _kept_turned(first, mine.checkpoint) or _kept_turned(second, theirs.checkpoint)
    elements = int(np.prod(shape, dtype=np.int64))
    return first, second, _tile(shape, look) if afar else _places(elements, look)


def layer_slices(mine: Naming, theirs: Naming, stack: str, look: Look) -> tuple[list[Slices], list[Slices]]:
    """What :func:`compare_layers` reads of both models; nothing where it would not."""
    own, other = mine.layers(stack), theirs.layers(stack)
    found: tuple[list[Slices], list[Slices]] = ([], [])
    if max(len(own), len(other)) <= MOST_LAYERS:
        for holders in _roles(mine, stack, look.roles).values():
            first, second, places = _refs(holders, own, other, mine, theirs, look)
            for part, refs in zip(found, (first, second), strict=True):
                part.extend(Slices(ref, *places) for ref in refs.values())
    return found


def _kept_turned(refs: Refs, checkpoint: Checkpoint) -> bool:
    """A run of a turned matrix lies in as many rows of the file: over a network that is dear."""
    return checkpoint.by_range and any(ref.transposed for ref in refs.values())


def _print_layers(
    checkpoint: Checkpoint, refs: dict[int, TensorRef], layers: Sequence[int], places: Places
) -> Floats:
    starts, length = places
    if checkpoint.remote:
        checkpoint.announce_all([Slices(ref, starts, length) for ref in refs.values()])
    found = np.full((len(layers), starts.size * length), np.nan)
    for row, layer in zip(found, layers, strict=True):
        if layer in refs:
            row[:] = _read(checkpoint, refs[layer], starts, length)
    return found


def _places(elements: int, look: Look) -> Places:
    """The same for every layer; the whole of a small matrix."""
    length = min(look.run, elements)
    if elements <= look.runs * look.run:
        return np.zeros(1, np.int64), elements
    if look.runs == 1:
        return np.array([(elements - length) // 2], np.int64), length
    return np.linspace(0, elements - length, look.runs).astype(np.int64), length


def _tile(shape: tuple[int, ...], look: Look) -> Places:
    """A square of as many numbers in the middle, whose rows are short runs in either layout."""
    rows, columns = shape
    if rows * columns <= look.run:
        return np.zeros(1, np.int64), rows * columns
    high = min(rows, isqrt(look.run))
    wide = min(columns, look.run // high)
    high = min(rows, look.run // wide)
    top, left = (rows - high) // 2, (columns - wide) // 2
    return (top + np.arange(high, dtype=np.int64)) * columns + left, wide


def _read(checkpoint: Checkpoint, ref: TensorRef, starts: NDArray[np.int64], length: int) -> Floats:
    values = to_float64(checkpoint.read_blocks(ref, starts, length).reshape(-1), ref.dtype)
    return np.where(np.isfinite(values), values, 0.0)


def _correlate(first: Floats, second: Floats) -> Floats:
    """Correlation of each row with each; NaN where a row is missing or flat."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rows = [r - r.mean(axis=1, keepdims=True) for r in (first, second)]
        unit = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in rows]
        return np.asarray(unit[0] @ unit[1].T, np.float64)
