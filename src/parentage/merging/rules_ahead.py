"""Tensors' rules, made ahead: a method's passes over the next tensors run while one is written."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import TracebackType
from typing import Final

import numpy as np

from parentage.merging.planned import PlannedTensor
from parentage.methods.method import Rule

__all__ = ["RulesAhead", "held_bytes", "prepared"]

# Bytes that rules which wait for their turn hold together, from which on none is begun: a rule that goes by
# a tool's order of equal magnitudes holds a bit for each element and model, most hold next to nothing.
MOST_HELD: Final = 2**25
# Bytes of operands whose rules wait. What a pass has read is read again when the tensor is made: by then it
# should still lie in the system's cache, or in that of a place on a network.
SHARE_OF_MEMORY: Final = 4
MOST_REMOTE: Final = 2**29
# Of those that hold no array.
MOST_RULES: Final = 4096


def prepared(tensor: PlannedTensor) -> Rule | None:
    """The method's rule for a tensor, after its passes; None where it is copied."""
    if tensor.parameters is None or tensor.profile is None or tensor.method is None:
        return None
    return tensor.method.prepare(tensor.operands, tensor.parameters, tensor.profile, tensor.name)


def held_bytes(rule: object) -> int:
    """Bytes of the arrays that a rule consists of, looked for in dataclasses and sequences."""
    if isinstance(rule, np.ndarray):
        return int(rule.nbytes)
    if is_dataclass(rule):
        return sum(held_bytes(getattr(rule, f.name)) for f in fields(rule))
    if isinstance(rule, list | tuple):
        return sum(held_bytes(one) for one in rule)
    return 0


@dataclass(frozen=True, slots=True)
class _Made:
    """A rule, or what making it raised; ``held``: bytes of its arrays, ``read``: of what its passes saw."""

    rule: Rule | None
    error: BaseException | None
    held: int
    read: int


class RulesAhead:
    """Rules of tensors in their order, one thread making them from now on; a context manager, after which
    none is begun. At least one is ahead, and more while they hold little and what their passes have read
    is still at hand."""

    def __init__(self, tensors: Iterable[PlannedTensor]) -> None:
        self._tensors = tuple(tensors)
        self._room = MOST_REMOTE if any(t.operands.remote for t in self._tensors) else _of_memory()
        self._made: dict[int, _Made] = {}
        self._next = self._wanted = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._make, name="parentage-passes", daemon=True)
        self._thread.start()

    def of(self, tensors: Iterable[PlannedTensor]) -> Iterator[tuple[PlannedTensor, Rule | None]]:
        """Some of the tensors, in the same order, with their rules; those between are passed over. Raises
        what making a rule raised, at its place."""
        for wanted in tensors:
            made = self._take(wanted)
            if made.error is not None:
                raise made.error
            yield wanted, made.rule

    def _take(self, wanted: PlannedTensor) -> _Made:
        with self._changed:
            while self._tensors[self._wanted] is not wanted:
                self._made.pop(self._wanted, None)
                self._wanted += 1
            k = self._wanted
            self._changed.notify_all()
            self._changed.wait_for(lambda: k in self._made)
            made = self._made.pop(k)
            self._wanted = k + 1
            self._changed.notify_all()
        return made

    def _make(self) -> None:
        while (k := self._begun()) is not None:
            made = _outcome(self._tensors[k])
            with self._changed:
                if k >= self._wanted:
                    self._made[k] = made
                    self._changed.notify_all()

    def _begun(self) -> int | None:
        """The tensor whose rule is next; None after the last, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._next <= self._wanted or self._room_left())
            k = max(self._next, self._wanted)
            self._next = k + 1
            return None if self._ended or k >= len(self._tensors) else k

    def _room_left(self) -> bool:
        waiting = self._made.values()
        held, read = sum(m.held for m in waiting), sum(m.read for m in waiting)
        return len(waiting) < MOST_RULES and held < MOST_HELD and read < self._room

    def __enter__(self) -> RulesAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()


def _outcome(tensor: PlannedTensor) -> _Made:
    try:
        rule = prepared(tensor)
    except BaseException as error:  # raised where the rule is asked for
        return _Made(None, error, 0, 0)
    return _Made(rule, None, held_bytes(rule), 0 if rule is None else tensor.bytes_read)


def _of_memory() -> int:
    """A share of the machine's memory, which holds what was read last."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // SHARE_OF_MEMORY
    except (AttributeError, OSError, ValueError):
        return MOST_REMOTE
