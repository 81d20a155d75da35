"""What every kind of planted audit draws: dtypes, orders of parents, controls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from parentage.records.dtypes import DType
from tests.worlds.planted import Model, Truth, Weights, World, stored

__all__ = [
    "RUN_MODELS",
    "Named",
    "Rng",
    "any_dtype",
    "audit_of",
    "generator",
    "narrow_dtype",
    "pick",
    "store_all",
]

Named = tuple[str, Model]
Rng = np.random.Generator

RUN_MODELS = ("base", "step-200", "step-360", "end", "ema", "trained-on", "sibling-1", "sibling-2")


def generator(kind: str, seed: int) -> Rng:
    """The generator of one world."""
    word = int.from_bytes(hashlib.sha256(kind.encode()).digest()[:8], "little")
    return np.random.default_rng([seed, word])


def any_dtype(rng: Rng) -> DType:
    """bf16 is usual, fp16 happens, fp32 is rare."""
    return (DType.BF16, DType.F16, DType.F32)[int(rng.choice(3, p=[0.8, 0.13, 0.07]))]


def narrow_dtype(rng: Rng) -> DType:
    return DType.BF16 if rng.random() < 0.8 else DType.F16


def audit_of(
    rng: Rng,
    kind: str,
    seed: int,
    real: bool,
    variant: str,
    suspect: Model,
    parents: Sequence[Named],
    control: Named | None,
    supported: Mapping[str, tuple[str, ...]],
    weights: Mapping[str, float] | None = None,
) -> World:
    """Parents in any order; half of the audits that could have a control have it."""
    order = [parents[k] for k in rng.permutation(len(parents))]
    controls = (control,) if control is not None and rng.random() < 0.5 else ()
    truth = Truth(kind, variant, seed, real, weights=weights or {}, supported=supported)
    return World(suspect, tuple(order), controls, truth)


def pick(rng: Rng, options: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return options[int(rng.integers(len(options)))]


# What the models are stored as: usually all alike, sometimes parents are published in fp32.
def store_all(rng: Rng, models: Mapping[str, Weights], suspect: str) -> dict[str, Model]:
    dtype = any_dtype(rng)
    wide = dtype is not DType.F32 and rng.random() < 0.12
    return {n: stored(w, DType.F32 if wide and n != suspect else dtype) for n, w in models.items()}
