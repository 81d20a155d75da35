"""Which machine does which task: where its files lie, then where their like was read before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

__all__ = ["Placement"]

T = TypeVar("T")


class Placement(Generic[T]):
    """Hands tasks to nodes. All tasks of a place go to one node that holds it, each node getting about as
    many as it has ``slots`` for; a node that is done takes from the one that has most left.

    ``holders``: for each place the nodes on which it can be read. Raises ``LookupError`` with the place
    when no node is left that holds it.
    """

    def __init__(
        self,
        tasks: Iterable[T],
        place: Callable[[T], str],
        holders: Mapping[str, tuple[str, ...]],
        slots: Mapping[str, int],
    ) -> None:
        self._place = place
        self._holders = dict(holders)
        self._slots = dict(slots)
        self._queues: dict[str, deque[T]] = {node: deque() for node in slots}
        self._home: dict[str, str] = {}
        self._put(tasks)

    def _put(self, tasks: Iterable[T]) -> None:
        grouped: dict[str, list[T]] = {}
        for task in tasks:
            grouped.setdefault(self._place(task), []).append(task)
        # The largest first, so that what is small evens them out; equal ones in their order.
        for place, group in sorted(grouped.items(), key=lambda item: -len(item[1])):
            self._queues[self._node_for(place)].extend(group)

    def _node_for(self, place: str) -> str:
        home = self._home.get(place)
        if home in self._queues:
            return str(home)
        nodes = [node for node in self._holders.get(place, ()) if node in self._queues]
        if not nodes:
            raise LookupError(place)
        self._home[place] = min(nodes, key=lambda n: len(self._queues[n]) / self._slots[n])
        return self._home[place]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Those that are left."""
        return tuple(self._queues)

    def next(self, node: str) -> T | None:
        """The node's next task; None when there is none that it can do."""
        if self._queues[node]:
            return self._queues[node].popleft()
        for other in sorted(self._queues, key=lambda n: -len(self._queues[n])):
            queue = self._queues[other]
            for k in range(len(queue) - 1, -1, -1):
                if node in self._holders[self._place(queue[k])]:
                    task = queue[k]
                    del queue[k]
                    return task
        return None

    def again(self, task: T) -> None:
        """The task was not done: it comes next where it can be done."""
        self._queues[self._node_for(self._place(task))].appendleft(task)

    def lose(self, node: str) -> None:
        """The node is gone; its tasks go to others."""
        left = self._queues.pop(node, deque())
        self._put(left)
