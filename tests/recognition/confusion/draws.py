"""Random recipes of every merge method and of what is no merge, as makers and the audit read them.

Nothing but numpy is used here: the environment of the tools that merge them does not hold this package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

__all__ = ["DRAWS", "NULLS", "Drawn", "digest_of", "draw"]

THINNED = ("ties", "breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear")
NULLS = ("fine-tune-of-O", "fine-tune-of-A", "run-average", "earlier-checkpoint", "independent")


@dataclass(frozen=True)
class Drawn:
    """``models``: letters of the operands in the tool's order, ``base`` the base's place among them.

    ``each``: numbers of each operand, the base's empty; ``family``: ``near`` (corners of real fine-tunes of
    one base), ``far`` (models that point apart), ``layers`` (such corners as a decoder's layers), ``wide``
    (fewer and wider matrices) or ``image``. ``stored``: the operands' format, ``dtype`` that of the
    arithmetic, ``out`` the merge's format.
    """

    method: str
    models: str
    base: int | None = None
    each: tuple[Mapping[str, Any], ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "bfloat16"
    family: str = "near"
    stored: str = "bfloat16"
    out: str = "bfloat16"
    seed: int = 0


Draw = Callable[[np.random.Generator], Drawn]
Formats = dict[str, Any]


def _number(rng: np.random.Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(float(rng.integers(round(low * 100), round(high * 100) + 1)) / 100, 2)


def _formats(rng: np.random.Generator) -> Formats:
    """Operands and arithmetic in either format; a merge is as often stored in 16 bits as people do."""
    stored, dtype = (str(rng.choice(["bfloat16", "float32"])) for _ in range(2))
    out = "float32" if dtype == "float32" and rng.random() < 0.25 else "bfloat16"
    return {"stored": stored, "dtype": dtype, "out": out}


def _weights(rng: np.random.Generator, models: int) -> tuple[dict[str, Any], ...]:
    return tuple({"weight": _number(rng, 0.2, 0.9)} for _ in range(models))


def _linear(rng: np.random.Generator) -> Drawn:
    models = str(rng.choice(["AB", "OA", "OAB"]))
    return Drawn("linear", models, None, _weights(rng, len(models)), **_formats(rng))


def _slerp(rng: np.random.Generator) -> Drawn:
    """Far models: near ones by slerp are a weighted sum in every bit."""
    t = {"t": _number(rng, 0.1, 0.9)}
    return Drawn("slerp", str(rng.choice(["OA", "AB"])), 0, (), t, family="far", **_formats(rng))


def _sphere(method: str) -> Draw:
    def drawn(rng: np.random.Generator) -> Drawn:
        if rng.random() < 0.5:
            models = "AB" if method == "nuslerp" else "OAB"
            weights = _weights(rng, len(models))
            return Drawn(method, models, None, weights, family="far", **_formats(rng))
        return Drawn(method, "OAB", 0, ({}, *_weights(rng, 2)), **_formats(rng))

    return drawn


def _karcher(rng: np.random.Generator) -> Drawn:
    return Drawn("karcher", str(rng.choice(["AB", "OAB", "OA"])), family="far", **_formats(rng))


def _model_stock(rng: np.random.Generator) -> Drawn:
    shared = {"filter_wise": bool(rng.random() < 0.3)}
    family = str(rng.choice(["near", "far"]))
    models = str(rng.choice(["OAB", "OBA"]))
    return Drawn("model_stock", models, 0, (), shared, family=family, **_formats(rng))


def _task_arithmetic(rng: np.random.Generator) -> Drawn:
    models = str(rng.choice(["OA", "OAB", "OAB"]))
    factor = 1.0 if rng.random() < 0.5 else round(float(rng.integers(3, 16)) / 10, 1)
    shared = {"lambda": factor, "normalize": False}
    formats = _formats(rng) | {"dtype": "bfloat16", "out": "bfloat16"}
    return Drawn("task_arithmetic", models, 0, ({}, *_weights(rng, len(models) - 1)), shared, **formats)


def _thinned(method: str) -> Draw:
    def drawn(rng: np.random.Generator) -> Drawn:
        models = str(rng.choice(["OA", "OAB", "OAB", "OBA"]))
        each = ({}, *(_row(rng, method) for _ in models[1:]))
        shared: dict[str, Any] = {}
        if rng.random() < 0.3:
            shared["lambda"] = round(float(rng.integers(5, 16)) / 10, 1)
        if rng.random() < 0.3:
            shared["normalize"] = bool(rng.random() < 0.5)
        # Half of the seeds are such as people type, half such as a tool has without one.
        typed = rng.random() < 0.5
        seed = int(rng.choice([0, 1, 42, 123, 1234, 2024])) if typed else int(rng.integers(2**26, 2**32))
        return Drawn(method, models, 0, each, shared, seed=seed, **_formats(rng))

    return drawn


def _row(rng: np.random.Generator, method: str) -> dict[str, float]:
    row = {"weight": _number(rng, 0.2, 0.9), "density": _number(rng, 0.2, 0.8)}
    if method.startswith("breadcrumbs"):
        row["gamma"] = _number(rng, 0.01, 0.1)
    if method.startswith("della"):
        row["epsilon"] = _number(rng, 0.05, 0.15)
    return row


def _sce(rng: np.random.Generator) -> Drawn:
    shared = {"select_topk": 1.0 if rng.random() < 0.4 else _number(rng, 0.1, 0.9)}
    return Drawn("sce", "OAB", 0, (), shared, **_formats(rng))


def _arcee_fusion(rng: np.random.Generator) -> Drawn:
    return Drawn("arcee_fusion", str(rng.choice(["OA", "OB"])), 0, **_formats(rng))


def _nearswap(rng: np.random.Generator) -> Drawn:
    t = round(float(rng.integers(1, 10)) * 10 ** float(rng.integers(-5, -2)), 7)
    return Drawn("nearswap", "OA", 0, (), {"t": t}, **_formats(rng))


def _passthrough(rng: np.random.Generator) -> Drawn:
    """Layers of O and A in three to five places of a new model: stacked, repeated, left out."""
    places = [(str(rng.choice(list("OA"))), int(rng.integers(3))) for _ in range(int(rng.integers(3, 6)))]
    if {m for m, _ in places} == {"O"}:
        places[-1] = ("A", places[-1][1])
    shared = {"layers": [[m, k] for m, k in places]}
    return Drawn("passthrough", "OA", None, (), shared, family="layers")


def _add_difference(rng: np.random.Generator) -> Drawn:
    shared = {"alpha": _number(rng, 0.2, 0.9)}
    halves = {"stored": "float16", "dtype": "float32", "out": "float16"}
    return Drawn("add_difference", "ABO", None, (), shared, family="image", **halves)


def _weighted_sum(rng: np.random.Generator) -> Drawn:
    halves = {"stored": "float16", "dtype": "float32", "out": "float16"}
    return Drawn(
        "weighted_sum", "AB", None, (), {"alpha": _number(rng, 0.2, 0.9)}, family="image", **halves
    )


def _adapter(rng: np.random.Generator) -> Drawn:
    rank, kind = int(rng.choice([1, 2, 4, 6])), str(rng.choice(["lora", "lora", "dora"]))
    shared = {"rank": rank, "kind": kind, "scaling": float(rng.choice([0.5, 1.0, 2.0]))}
    stored = str(rng.choice(["bfloat16", "float32"]))
    formats = {"stored": stored, "dtype": stored, "out": stored}
    seed = int(rng.integers(2**31))
    return Drawn("adapter", "O", 0, (), shared, family="wide", seed=seed, **formats)


def _abliteration(rng: np.random.Generator) -> Drawn:
    strength = 1.0 if rng.random() < 0.6 else _number(rng, 0.5, 0.95)
    stored = str(rng.choice(["bfloat16", "float32"]))
    formats = {"stored": stored, "dtype": stored, "out": stored}
    seed = int(rng.integers(2**31))
    return Drawn("abliteration", "O", 0, (), {"strength": strength}, family="wide", seed=seed, **formats)


def _upcycling(rng: np.random.Generator) -> Drawn:
    experts = [str(m) for m in rng.choice(list("OA"), size=int(rng.integers(2, 5)))]
    shared = {"experts": experts, "base": str(rng.choice(list("OA")))}
    seed = int(rng.integers(2**31))
    return Drawn("upcycling", "OA", None, (), shared, family="layers", seed=seed)


def _null(kind: str) -> Draw:
    def drawn(rng: np.random.Generator) -> Drawn:
        stored = str(rng.choice(["bfloat16", "float32"]))
        shared = {"rate": float(rng.choice([1e-4, 3e-4, 1e-3])), "steps": int(rng.choice([20, 60, 150]))}
        formats = {"stored": stored, "dtype": "float32", "out": stored}
        start = "A" if kind == "fine-tune-of-A" else "O"
        seed = int(rng.integers(2**31))
        return Drawn(kind, start, None, (), shared, seed=seed, **formats)

    return drawn


DRAWS: Mapping[str, Draw] = {
    "linear": _linear,
    "slerp": _slerp,
    "nuslerp": _sphere("nuslerp"),
    "multislerp": _sphere("multislerp"),
    "karcher": _karcher,
    "task_arithmetic": _task_arithmetic,
    **{name: _thinned(name) for name in THINNED},
    "model_stock": _model_stock,
    "sce": _sce,
    "arcee_fusion": _arcee_fusion,
    "nearswap": _nearswap,
    "passthrough": _passthrough,
    "add_difference": _add_difference,
    "adapter": _adapter,
    "abliteration": _abliteration,
    "upcycling": _upcycling,
    **{name: _null(name) for name in NULLS},
    # Last, for a recipe's draw depends on the place of its method here.
    "weighted_sum": _weighted_sum,
}


def draw(method: str, number: int) -> Drawn:
    """The recipe of that number; the same whenever it is asked for."""
    return DRAWS[method](np.random.default_rng([list(DRAWS).index(method), number]))


def digest_of(recipe: Drawn) -> str:
    """What a row is kept under: the first half of the SHA-256 of the recipe's JSON."""
    text = json.dumps(asdict(recipe), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
