"""Suspects as codes: null suspects, parents and merges of the other kinds, quantised and then audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.records.dtypes import DType
from tests.calibration.drawing import Rng
from tests.worlds.planted import Floats, Model, World, values_of

__all__ = ["FORMATS", "apart", "quantised", "quantised_copy", "quantised_null"]

Made = dict[str, StoredTensor]
# Of the null kinds, those whose suspects were never blended from the parents listed; those whose suspects
# may be a stage on the way from one model to another.
NEVER = ("other-fine-tune", "independent", "earlier-checkpoint", "run-average", "trained-on", "siblings")
ON_THE_WAY = ("earlier-checkpoint", "run-average")
GROUPS = (64, 48, 32, 24, 16)


def _f32(array: Floats | NDArray[np.float32]) -> StoredTensor:
    found = np.ascontiguousarray(array, np.float32)
    return StoredTensor(DType.F32, found.shape, found.reshape(-1).view(np.uint32))


def _eight(name: str, weight: Floats, scale: Floats) -> Made:
    codes = np.clip(np.rint(weight.astype(np.float32) / np.float32(scale)), -127, 127).astype(np.int8)
    bits = codes.reshape(-1).view(np.uint8)
    return {name: StoredTensor(DType.I8, weight.shape, bits), f"{name}_scale": _f32(scale)}


def _largest(weight: Floats, axis: int | None) -> NDArray[np.float32]:
    size = np.abs(weight.astype(np.float32)).max(axis=axis, keepdims=True)
    return np.where(size == 0, np.float32(1), size).astype(np.float32)


def _by_row(name: str, weight: Floats) -> Made:
    return _eight(name, weight, _largest(weight, 1) / np.float32(127))


def _in_all(name: str, weight: Floats) -> Made:
    return _eight(name, weight, (_largest(weight, None) / np.float32(127)).reshape(1))


def _four(name: str, weight: Floats) -> Made:
    """compressed-tensors' packed int4, by groups of the largest size that divides a row; absmax / 7.5."""
    rows, columns = weight.shape
    group = next((g for g in GROUPS if columns % g == 0), columns)
    grouped = weight.astype(np.float32).reshape(rows, -1, group)
    scale = _largest(grouped, 2)[:, :, 0] / np.float32(7.5)
    codes = np.clip(np.rint(grouped / scale[:, :, None]), -8, 7).reshape(rows, columns)
    words = -(-columns // 8)
    wide = np.zeros((rows, words * 8), np.uint32)
    wide[:, :columns] = (codes + 8).astype(np.uint32)
    shifts = np.arange(0, 32, 4, dtype=np.uint32)
    packed = np.bitwise_or.reduce(wide.reshape(rows, words, 8) << shifts, axis=2).astype(np.uint32)
    shape = np.array([rows, columns], np.int64)
    return {
        f"{name}_packed": StoredTensor(DType.I32, packed.shape, packed.reshape(-1)),
        f"{name}_scale": _f32(scale),
        f"{name}_shape": StoredTensor(DType.I64, (2,), shape.view(np.uint64)),
    }


FORMATS: Mapping[str, Callable[[str, Floats], Made]] = {
    "int8 by row": _by_row,
    "int8 in all": _in_all,
    "int4 by group": _four,
}


def quantised(rng: Rng, model: Model) -> tuple[Model, str]:
    """Matrices as codes in one of the formats, all else as it is; and the format."""
    format_ = str(rng.choice(list(FORMATS)))
    found: Model = {}
    for name, weight in values_of(model).items():
        coded = weight.ndim == 2 and min(weight.shape) > 1
        found |= FORMATS[format_](name, weight) if coded else {name: model[name]}
    return found, format_


def quantised_null(
    rng: Rng, seed: int, real: bool, makers: Mapping[str, Callable[[Rng, int, bool], World]]
) -> World:
    """A suspect of another null kind, quantised."""
    kind = NEVER[int(rng.integers(len(NEVER)))]
    world = makers[kind](rng, seed, real)
    suspect, format_ = quantised(rng, world.suspect)
    supported = dict(world.truth.supported)
    if kind in ON_THE_WAY:
        supported["shared-ancestor"] = tuple(name for name, _ in world.parents)
    variant = f"{format_}: {kind}: {world.truth.variant}"
    notes = {"apart": {name: apart(world.suspect, model) for name, model in world.parents}}
    truth = replace(world.truth, kind="quantised", variant=variant, supported=supported, notes=notes)
    return replace(world, suspect=suspect, truth=truth)


def apart(own: Model, other: Model) -> float:
    """Mean distance of two models' matrices, in standard deviations of the first's numbers."""
    first, second = values_of(own), values_of(other)
    named = [n for n, w in first.items() if w.ndim == 2 and np.std(w) > 0]
    each = [float(np.mean(np.abs(first[n] - second[n])) / np.std(first[n])) for n in named]
    return float(np.average(each, weights=[first[n].size for n in named]))


def quantised_copy(
    rng: Rng, seed: int, real: bool, makers: Mapping[str, Callable[[Rng, int, bool], World]]
) -> World:
    """One of the parents, quantised: a copy of it, no merge, and of no other's making."""
    world = makers["other-fine-tune"](rng, seed, real)
    name, model = world.parents[int(rng.integers(len(world.parents)))]
    suspect, format_ = quantised(rng, model)
    others = _relatives(name, world.parents)
    truth = replace(
        world.truth,
        kind="quantised-copy",
        variant=f"{format_}: {name} of {'+'.join(n for n, _ in world.parents)}",
        supported={"quantized-copy": (name,), "fine-tune": (name, *others)},
        notes={"copy": name},
    )
    return replace(world, suspect=suspect, truth=truth)


def _relatives(name: str, parents: Sequence[tuple[str, Model]]) -> tuple[str, ...]:
    """Models that a parent may be said to come from: the base."""
    return tuple(n for n, _ in parents if n == "base" and n != name)
