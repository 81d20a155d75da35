"""Random recipes of each method, as the tool that merges them and the audit that judges them read them.

Nothing but numpy is used here: the tool's environment does not hold this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["DRAWS", "Drawn", "draw"]

DTYPES = ("bfloat16", "float32")


@dataclass(frozen=True)
class Drawn:
    """``models``: letters of the operands in order, ``base`` the base's place among them; ``family``: near
    (fine-tunes of one base) or far (models that point apart)."""

    method: str
    models: str
    base: int | None
    each: tuple[Mapping[str, Any], ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "bfloat16"
    family: str = "near"
    seed: int = 0


Draw = Callable[[np.random.Generator], Drawn]


def _two(rng: np.random.Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(float(rng.integers(round(low * 100), round(high * 100) + 1)) / 100, 2)


def _dtype(rng: np.random.Generator) -> str:
    return str(rng.choice(DTYPES))


def _weights(rng: np.random.Generator, models: int) -> tuple[dict[str, Any], ...]:
    return tuple({"weight": _two(rng, 0.2, 0.9)} for _ in range(models))


def _linear(rng: np.random.Generator) -> Drawn:
    models = str(rng.choice(["AB", "OA", "OAB"]))
    return Drawn("linear", models, None, _weights(rng, len(models)), dtype=_dtype(rng))


def _slerp(rng: np.random.Generator) -> Drawn:
    t = {"t": _two(rng, 0.1, 0.9)}
    return Drawn("slerp", str(rng.choice(["OA", "AB"])), 0, (), t, _dtype(rng), "far")


def _nuslerp(rng: np.random.Generator) -> Drawn:
    if rng.random() < 0.5:
        return Drawn("nuslerp", "AB", None, _weights(rng, 2), dtype=_dtype(rng), family="far")
    return Drawn("nuslerp", "OAB", 0, ({}, *_weights(rng, 2)), dtype=_dtype(rng))


def _multislerp(rng: np.random.Generator) -> Drawn:
    if rng.random() < 0.5:
        return Drawn("multislerp", "OAB", None, _weights(rng, 3), dtype=_dtype(rng), family="far")
    return Drawn("multislerp", "OAB", 0, ({}, *_weights(rng, 2)), dtype=_dtype(rng))


def _karcher(rng: np.random.Generator) -> Drawn:
    return Drawn("karcher", str(rng.choice(["AB", "OAB", "OA"])), None, dtype=_dtype(rng), family="far")


def _model_stock(rng: np.random.Generator) -> Drawn:
    shared = {"filter_wise": bool(rng.random() < 0.3)}
    family = str(rng.choice(["near", "far"]))
    return Drawn("model_stock", str(rng.choice(["OAB", "OBA"])), 0, (), shared, _dtype(rng), family)


def _task_arithmetic(rng: np.random.Generator) -> Drawn:
    models = str(rng.choice(["OA", "OAB", "OAB"]))
    factor = 1.0 if rng.random() < 0.5 else round(float(rng.integers(3, 16)) / 10, 1)
    each = ({}, *_weights(rng, len(models) - 1))
    return Drawn("task_arithmetic", models, 0, each, {"lambda": factor, "normalize": False})


DRAWS: Mapping[str, Draw] = {
    "linear": _linear,
    "slerp": _slerp,
    "nuslerp": _nuslerp,
    "multislerp": _multislerp,
    "karcher": _karcher,
    "model_stock": _model_stock,
    "task_arithmetic": _task_arithmetic,
}


def draw(method: str, number: int) -> Drawn:
    """The recipe of that number; the same whenever it is asked for."""
    return DRAWS[method](np.random.default_rng([list(DRAWS).index(method), number]))
