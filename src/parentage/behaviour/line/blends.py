"""Blends of two models in memory, run by transformers: what they say next, and their loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from parentage.behaviour.distributions import TOP
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.behaviour.targets import TokenScores
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError, UsageError
from parentage.records.absence import Absent
from parentage.records.dtypes import DType

__all__ = ["Blends", "Told", "stored_dtype"]

Told = list[TokenScores | Absent]
_ROUNDED = {DType.BF16: "bfloat16", DType.F16: "float16"}


def stored_dtype(folder: str) -> DType:
    """In which format most of a folder's numbers are stored; float32 where that is not to be read."""
    try:
        with open_checkpoint(folder) as model:
            sizes: dict[DType, int] = {}
            for tensor in model.tensors.values():
                sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.elements
    except ParentageError:
        return DType.F32
    return max(sizes, key=lambda d: (sizes[d], d.value), default=DType.F32)


class Blends:
    """Both parents loaded; the first's tensors are overwritten by blends. ``dtype``: what a blend's numbers
    are rounded to, as a merge that is stored in it."""

    def __init__(self, first: str, second: str, dtype: DType) -> None:
        self._names = f"{first}, {second}"
        self._one, self._other = TransformersModel(first), TransformersModel(second)
        self._dtype = dtype
        self._pairs: list[Any] = []

    @property
    def how(self) -> str:
        """What a point of the line is, in words."""
        rounded = f", rounded to {_ROUNDED[self._dtype]}" if self._dtype in _ROUNDED else ""
        return f"blends in float32{rounded}, run by transformers"

    async def open(self) -> None:
        """Load; raises what loading raises, and ``UsageError`` (``line-not-one``)."""
        await self._one.open()
        await self._other.open()
        ours, theirs = self._one.parameters(), self._other.parameters()
        if {n: t.shape for n, t in ours.items()} != {n: t.shape for n, t in theirs.items()}:
            raise UsageError(
                "the two parents have different tensors, so that there is no line between them",
                code="line-not-one",
                where=self._names,
                hint="name two models of one architecture and vocabulary",
            )
        # Tied tensors are one in memory, and are blended once.
        unlike = {t.data_ptr(): n for n, t in sorted(ours.items(), reverse=True)}
        self._pairs = [(ours[n], ours[n].clone(), theirs[n]) for n in sorted(unlike.values())]

    async def at(self, weight: float, texts: Sequence[str]) -> tuple[Told, float | Absent]:
        """Next tokens of the blend with ``weight`` of the first after each text, and its mean loss a token
        over the texts' second halves, nats."""
        for target, own, other in self._pairs:
            target.copy_(self._stored(own * weight + other * (1 - weight)))
        found = await self._one.look(texts, TOP)
        sums, tokens = zip(*(loss for _, loss in found), strict=True)
        loss = math.fsum(sums) / sum(tokens) if sum(tokens) else Absent("no beginning could be scored")
        return [told for told, _ in found], loss

    def _stored(self, values: Any) -> Any:
        import torch

        name = _ROUNDED.get(self._dtype)
        return values if name is None else values.to(getattr(torch, name)).float()

    async def close(self) -> None:
        """Let go of both."""
        self._pairs = []
        await self._one.close()
        await self._other.close()
