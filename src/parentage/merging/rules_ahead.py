"""Tensors' rules, made ahead: a method's passes over the next tensors run while one is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final

from parentage.merging.planned import PlannedTensor
from parentage.methods.method import Rule

__all__ = ["RulesAhead", "prepared"]

# Elements of tensors whose rules wait for their turn: as many as two embeddings of a small model, during
# which several layers' passes are made. A rule that goes by a tool's order of equal magnitudes holds a bit
# for each element and model: 16 MiB a model.
MOST: Final = 2**27


def prepared(tensor: PlannedTensor) -> Rule | None:
    """The method's rule for a tensor, after its passes; None where it is copied."""
    if tensor.parameters is None or tensor.profile is None or tensor.method is None:
        return None
    return tensor.method.prepare(tensor.operands, tensor.parameters, tensor.profile, tensor.name)


class RulesAhead:
    """Rules of tensors in their order, one thread making them from now on; a context manager, after which
    none is begun. At least one is ahead, and more while they are of ``MOST`` elements together."""

    def __init__(self, tensors: Iterable[PlannedTensor]) -> None:
        self._left = iter(tensors)
        self._next = next(self._left, None)
        self._coming: deque[tuple[PlannedTensor, Future[Rule | None]]] = deque()
        self._elements = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="parentage-passes")
        self._fill()

    def of(self, tensors: Iterable[PlannedTensor]) -> Iterator[tuple[PlannedTensor, Rule | None]]:
        """Some of the tensors, in the same order, with their rules; those between are passed over. Raises
        what making a rule raised, at its place."""
        for wanted in tensors:
            tensor, coming = self._pop()
            while tensor is not wanted:
                coming.cancel()
                tensor, coming = self._pop()
            rule = coming.result()
            self._fill()
            yield wanted, rule

    def _pop(self) -> tuple[PlannedTensor, Future[Rule | None]]:
        self._fill()
        tensor, coming = self._coming.popleft()
        self._elements -= tensor.operands.elements
        return tensor, coming

    def _fill(self) -> None:
        while self._next is not None:
            count = self._next.operands.elements
            if self._coming and self._elements + count > MOST:
                return
            self._coming.append((self._next, self._pool.submit(prepared, self._next)))
            self._elements += count
            self._next = next(self._left, None)

    def __enter__(self) -> RulesAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
