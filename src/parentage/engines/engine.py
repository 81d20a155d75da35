"""What an engine is asked for, and what it asks of the work that it runs.

A task is data that can be pickled, and its result depends on nothing else: not on which worker did it, nor
on when, nor on how often. So whoever puts results together in the order of the tasks gets the same for any
engine, any number of workers, and any failure on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

__all__ = ["AheadWorker", "Engine", "Work", "Worker"]

T = TypeVar("T")
R = TypeVar("R")
Task = TypeVar("Task")
Task_contra = TypeVar("Task_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Worker(Protocol[Task_contra, Result_co]):
    """Does tasks one after the other, with files and buffers that it opened once; for one thread."""

    def do(self, task: Task_contra) -> Result_co:
        """The result; raises ``ParentageError`` where what the task reads cannot be read."""


@runtime_checkable
class AheadWorker(Protocol[Task, Result_co]):
    """A worker that begins with the next task while it ends the last, where its engine gives it several."""

    def each(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Result_co]]:
        """Each task with its result, in order; ``tasks`` is asked for the next one as soon as there is room
        for it, and every task that was taken is done."""


class Work(Protocol[Task_contra, Result_co]):
    """What opens workers; pickled where they run in other processes."""

    def open(self) -> Worker[Task_contra, Result_co]:
        """A worker, here."""

    def announce(self, task: Task_contra) -> None:
        """This task will be done here soon."""

    def place(self, task: Task_contra) -> str:
        """What the task reads; tasks of one place are best done where the last of them was."""

    def holds(self, places: tuple[str, ...]) -> tuple[bool, ...]:
        """Can what these places name be read here?"""


class Engine(Protocol):
    """Where tasks are done."""

    @property
    def id(self) -> str:
        """Its name on the command line."""

    @property
    def remote(self) -> bool:
        """Workers are other processes, maybe on other machines: the work must open its files there."""

    def run(self, work: Work[T, R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield ``(task, result)`` for each task, as they are done and so in no fixed order.

        At most a bounded number of tasks is under way at a time. An error in a task ends all and is raised
        here; a worker that dies does not, as long as its tasks can be done by others.
        """
