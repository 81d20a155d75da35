"""Which problems a seed draws: by hashes, so that no library's generator decides what was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from parentage.errors import UsageError
from parentage.training.problems import SPLITS, split_of

__all__ = ["draw", "draws"]


def draws(seed: int, name: str, below: int) -> Iterator[int]:
    """Whole numbers below ``below`` without end, from the seed and the name alone."""
    count = 0
    while True:
        word = hashlib.sha256(f"{seed}\n{name}\n{count}".encode()).digest()[:8]
        # 64 bits modulo less than 2**24: no number is likelier than another by more than 1e-12.
        yield int.from_bytes(word, "little") % below
        count += 1


def draw(
    task: str, size: int, problem: Callable[[int], str], split: str, count: int, seed: int
) -> list[int]:
    """Numbers of ``count`` different problems of a split, out of ``size``.

    ``problem(k)``: the text by which problem k is told from others; equal texts are one problem. Raises
    ``UsageError`` (``task-split``, ``task-too-few``).
    """
    if split not in SPLITS:
        raise UsageError(
            f"a task has no split {split!r}", code="task-split", hint=f"one of {', '.join(SPLITS)}"
        )
    found: dict[str, int] = {}
    for tried, k in enumerate(_order(seed, f"{task}|{split}", size)):
        if len(found) >= count or tried >= 8 * size:
            break
        text = problem(k)
        if text not in found and split_of(text) == split:
            found[text] = k
    if len(found) < count:
        raise UsageError(
            f"the split {split} of the task has {len(found)} problems, and {count} were asked for",
            code="task-too-few",
            where=task,
            hint="ask for fewer, or take a harder task, which has more",
        )
    return list(found.values())


def _order(seed: int, name: str, size: int) -> Iterator[int]:
    """Random places first, then every place in turn, so that a small task is used up whole."""
    source = draws(seed, name, size)
    for _ in range(size):
        yield next(source)
    yield from range(size)
