"""Random recipes of methods that thin task vectors out, and of those with one free number or none.

Nothing but numpy is used here: the environment of the tool that merges them does not hold this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["METHODS", "Drawn", "draw"]

METHODS = (
    *("ties", "breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear"),
    *("sce", "arcee_fusion", "nearswap"),
)


@dataclass(frozen=True)
class Drawn:
    """``models``: letters of the operands, the base first; ``each`` of those beside it."""

    method: str
    models: str
    each: tuple[Mapping[str, Any], ...]
    shared: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "bfloat16"
    seed: int = 0


def draw(method: str, number: int) -> Drawn:
    """The recipe of that number; the same whenever it is asked for."""
    rng = np.random.default_rng([METHODS.index(method), number])
    dtype = str(rng.choice(["bfloat16", "float32"]))
    if method == "sce":
        shared = {"select_topk": 1.0 if rng.random() < 0.4 else _number(rng, 0.1, 0.9)}
        return Drawn(method, "OAB", ({}, {}), shared, dtype)
    if method == "arcee_fusion":
        return Drawn(method, str(rng.choice(["OA", "OB"])), ({},), {}, dtype)
    if method == "nearswap":
        t = round(float(rng.integers(1, 10)) * 10 ** float(rng.integers(-5, -2)), 7)
        return Drawn(method, "OA", ({},), {"t": t}, dtype)
    models = str(rng.choice(["OA", "OAB", "OAB", "OBA"]))
    each = tuple(_row(rng, method) for _ in models[1:])
    shared = {}
    if rng.random() < 0.3:
        shared["lambda"] = round(float(rng.integers(5, 16)) / 10, 1)
    if rng.random() < 0.3:
        shared["normalize"] = bool(rng.random() < 0.5)
    # Half of the seeds are such as people type, half such as a tool has without one.
    seed = int(rng.choice([0, 1, 42, 123, 1234, 2024])) if number % 2 else int(rng.integers(2**26, 2**32))
    return Drawn(method, models, each, shared, dtype, seed)


def _row(rng: np.random.Generator, method: str) -> dict[str, float]:
    row = {"weight": _number(rng, 0.2, 0.9), "density": _number(rng, 0.2, 0.8)}
    if method.startswith("breadcrumbs"):
        row["gamma"] = _number(rng, 0.01, 0.1)
    if method.startswith("della"):
        row["epsilon"] = _number(rng, 0.05, 0.15)
    return row


def _number(rng: np.random.Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(float(rng.integers(round(low * 100), round(high * 100) + 1)) / 100, 2)
