"""What a plan of a merge holds: each tensor of the output, and each of an input that nothing is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parentage.merging.layers import Layout
from parentage.merging.operands import Operands
from parentage.merging.vocabularies import Vocabulary
from parentage.methods.method import Method, Parameters, Profile
from parentage.records.dtypes import DType
from parentage.records.recipe import ModelName, Recipe

__all__ = ["Dropped", "Plan", "PlannedTensor"]


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """A tensor of the output. ``parameters``, ``profile``, ``method`` None: it is copied, for ``reason``,
    from the one operand there is. ``dtype``: as it is stored; ``models``: whose operands they are."""

    name: str
    dtype: DType
    operands: Operands
    models: tuple[ModelName, ...]
    reason: str = ""
    parameters: Parameters | None = None
    profile: Profile | None = None
    method: Method | None = None
    factors: int = 0
    """Bytes of adapters' factors, read beside the operands."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output and of every operand."""
        return self.operands.shape

    @property
    def nbytes(self) -> int:
        """Bytes in the output."""
        return self.operands.elements * self.dtype.itemsize

    @property
    def bytes_read(self) -> int:
        """Bytes of all operands, read once."""
        return sum(p.tensor.nbytes for p in self.operands.parts) + self.factors

    @property
    def merged(self) -> bool:
        """Made by the method; otherwise copied."""
        return self.parameters is not None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A tensor of an input that nothing in the output is made of."""

    model: ModelName
    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``tensors`` in the order in which they are made and stored; ``template``: whose config is taken."""

    recipe: Recipe
    method: Method
    profile: str
    seed: int
    template: ModelName
    layouts: Mapping[ModelName, Layout]
    tensors: tuple[PlannedTensor, ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]
    vocabulary: Vocabulary | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the output's tensors."""
        return sum(t.nbytes for t in self.tensors)

    @property
    def bytes_read(self) -> int:
        """Bytes of operands, each read once; methods that look first read more."""
        return sum(t.bytes_read for t in self.tensors)
