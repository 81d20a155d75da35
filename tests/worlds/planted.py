"""Small checkpoints with known recipes: stored models, and an audit of one of them.

Weights are float64 arrays by tensor name; a model is what safetensors stores of them. Everything
follows from a generator that the caller seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

__all__ = [
    "Floats",
    "Model",
    "Truth",
    "Weights",
    "World",
    "audited",
    "each_tensor",
    "matrices",
    "stored",
    "values_of",
]

Floats = NDArray[np.float64]
Weights = dict[str, Floats]
Model = dict[str, StoredTensor]


@dataclass(frozen=True, slots=True)
class Truth:
    """What was planted. ``weights`` by parent; empty when the suspect is no blend of its parents.

    ``sigma`` the planted change over the spread of the weights, ``changed`` the share of elements off
    the stored merge; both None without a later change. ``supported``: for a suspect that is no blend,
    the relations that would be true of it, each with the models that it may name.
    """

    kind: str
    variant: str
    seed: int
    real: bool
    weights: Mapping[str, float] = field(default_factory=dict)
    change: str = ""
    sigma: float | None = None
    changed: float | None = None
    supported: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """A suspect and the models that it is audited against, in the order of the command line."""

    suspect: Model
    parents: tuple[tuple[str, Model], ...]
    controls: tuple[tuple[str, Model], ...]
    truth: Truth


def stored(weights: Weights, dtype: DType) -> Model:
    """Weights rounded once, to nearest, ties to even."""
    return {n: StoredTensor(dtype, v.shape, round_to(v.ravel(), dtype)) for n, v in weights.items()}


def values_of(model: Model) -> Weights:
    """The exact values that a model stores."""
    return {n: to_float64(t.bits, t.dtype).reshape(t.shape) for n, t in model.items()}


def matrices(model: Model | Weights) -> list[str]:
    """Names of the tensors with two dimensions."""
    return [n for n, t in model.items() if len(t.shape) == 2]


def each_tensor(change: Callable[..., Floats], *models: Weights) -> Weights:
    """``change`` applied tensor by tensor to models that share their names."""
    return {name: change(*(m[name] for m in models)) for name in models[0]}


def audited(world: World, *, seed: int = 0) -> api.AuditResult:
    """Write the world as safetensors files and audit it, on one thread."""
    with TemporaryDirectory(prefix="planted-") as folder:
        suspect = _written(Path(folder) / "suspect.safetensors", world.suspect)
        parents = [_written(Path(folder) / f"{n}.safetensors", m) for n, m in world.parents]
        controls = [_written(Path(folder) / f"{n}.safetensors", m) for n, m in world.controls]
        return api.audit(suspect, parents=parents, controls=controls, seed=seed, workers=1, digests=False)


def _written(path: Path, model: Model) -> str:
    write_safetensors(path, model)
    return str(path)
