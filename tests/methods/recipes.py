"""Recipes of every method: those whose outcome a tool left in the fixtures, and random ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.methods.method import Declared, Method, Parameters, Value
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, tensors_of

__all__ = ["FOLDER", "Case", "cases", "operands", "parameters", "theirs"]

FOLDER = Path(__file__).parents[1] / "fixtures" / "methods"
# Where a declared range is too wide for a sensible merge of any method.
RANGES = {
    "weight": (0.1, 1.0),
    "density": (0.3, 0.7),
    "epsilon": (0.01, 0.2),
    "gamma": (0.0, 0.2),
    "t": (0.0, 1.0),
}


@dataclass(frozen=True)
class Case:
    """A recipe of ``cases.json``."""

    id: str
    method: str
    models: list[str]
    base: int | None
    dtype: str
    out: str
    shared: dict[str, Value]
    per_model: list[dict[str, Value]]
    seed: int

    def reader(self, name: str, size: int = 1 << 16) -> ArrayReader:
        """The operands of one tensor."""
        found = operands()
        return ArrayReader(
            np.stack([found[f"{m}/{name}"] for m in self.models]), DType.F32, self.base, size
        )

    def parameters(self, drawn: int = 0) -> Parameters:
        """The recipe's numbers."""
        return Parameters(tuple(self.per_model), self.shared, self.seed, drawn)


@cache
def cases() -> tuple[Case, ...]:
    """All recipes."""
    return tuple(Case(**c) for c in json.loads((FOLDER / "cases.json").read_text()))


@cache
def operands() -> dict[str, NDArray[np.float32]]:
    """Operands by model and tensor."""
    found = tensors_of(FOLDER / "operands.safetensors")
    return {name: bits.view(np.float32) for name, (_, bits) in found.items()}


@cache
def theirs(tool: str) -> dict[str, tuple[DType, NDArray[Any]]]:
    """What a tool made, by case and tensor."""
    return tensors_of(FOLDER / f"{tool}.safetensors")


def _value(declared: Declared) -> st.SearchStrategy[Value]:
    if declared.name == "nuslerp_row_wise":
        return st.just(False)
    if declared.kind == "switch":
        return st.booleans()
    if declared.kind == "count":
        return st.integers(max(1, int(max(declared.low, 1))), 12)
    low, high = RANGES.get(declared.name, (max(declared.low, 0.1), min(declared.high, 1.0)))
    return st.floats(low, high)


def parameters(method: Method, models: int, base: int | None) -> st.SearchStrategy[Parameters]:
    """Random numbers for a method with so many operands."""
    own = {d.name: _value(d) for d in method.parameters if d.per_model}
    shared = {d.name: _value(d) for d in method.parameters if not d.per_model and d.name != "eps"}
    skip = base if method.base != "ignored" else None
    rows = st.tuples(*(st.fixed_dictionaries({} if k == skip else own) for k in range(models)))
    seeds = st.integers(0, 2**32 - 1)
    return st.builds(Parameters, rows, st.fixed_dictionaries(shared), seeds, st.integers(0, 5000))
