"""Passages that are nearly word for word another text's: words changed, left out or put in between.

Local alignment of words (Smith and Waterman 1981) within windows around shared runs of three words, so that
long answers take bounded time: without such a run nothing is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.behaviour.words import Units
from parentage.records.recital import Part

__all__ = ["LEAST_SAME", "Aligned", "Written", "near_passages", "sides"]

# Equal words, and their share of the longer side. Of 2,278 pairs of the 68 cards of the tests all but two
# have at most 9; the two have a common source: a card before and after its edit (13), one generator (17).
LEAST_SAME: Final = 14
LEAST_SHARE: Final = 0.75
SEED: Final = 3
# Of one run of words; one that is more frequent is a phrase and leads nowhere.
MOST_PLACES: Final = 8
MOST_SEEDS: Final = 200_000
MOST_WINDOWS: Final = 12
# Words before and after the shared runs that a window takes in, and of one window at most.
MARGIN: Final = 40
LARGEST: Final = 640
BAND: Final = 24
SAME, OTHER, GAP = 1, -1, -1


@dataclass(frozen=True, slots=True)
class Aligned:
    """A passage: where it lies in both, its equal words, and the steps of its alignment in order.

    ``steps``: (place said, place written), one of them -1 where a word has no counterpart.
    """

    said: tuple[int, int]
    written: tuple[int, int]
    same: int
    steps: tuple[tuple[int, int], ...]


class Written:
    """A text that may be recited, indexed once."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self.numbers: dict[str, int] = {}
        self.words = np.array(
            [self.numbers.setdefault(w, len(self.numbers)) for w in units.words], np.int64
        )
        self._places: dict[tuple[str, ...], list[int]] = {}
        for k in range(len(units.words) - SEED + 1):
            self._places.setdefault(units.words[k : k + SEED], []).append(k)

    def seeds(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """(place said, place written) of shared runs, at most ``MOST_SEEDS``."""
        left = MOST_SEEDS
        for k in range(len(words) - SEED + 1):
            places = self._places.get(tuple(words[k : k + SEED]), ())
            if len(places) <= MOST_PLACES:
                for place in places[:left]:
                    yield k, place
                left -= min(left, len(places))

    def numbered(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Words as this text's numbers; -1 for those that it does not have."""
        return np.array([self.numbers.get(w, -1) for w in words], dtype=np.int64)


def near_passages(said: Units, written: Written) -> list[Aligned]:
    """Passages of at least ``LEAST_SAME`` equal words with at least one difference, best first.

    None overlaps a better one in what was said. Equal input gives equal output.
    """
    if not written.units.words:
        return []
    numbers = written.numbered(said.words)
    found = [
        aligned
        for first, last, begin, end in _windows(list(written.seeds(said.words)), said, written)
        if (aligned := _aligned(numbers[first:last], written.words[begin:end], first, begin)) is not None
    ]
    found.sort(key=lambda a: (-a.same, a.said))
    kept: list[Aligned] = []
    for one in found:
        if all(one.said[1] <= k.said[0] or k.said[1] <= one.said[0] for k in kept):
            kept.append(one)
    return [k for k in kept if len(k.steps) > k.same]


def sides(aligned: Aligned, said: Units, written: Units) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Both sides of a passage in stretches of words that the other has there, and that it has not."""
    flags = [(i, j, i >= 0 and j >= 0 and said.words[i] == written.words[j]) for i, j in aligned.steps]
    return (
        tuple(_parts([(i, same) for i, _, same in flags if i >= 0], said)),
        tuple(_parts([(j, same) for _, j, same in flags if j >= 0], written)),
    )


def _parts(places: Sequence[tuple[int, bool]], units: Units) -> Iterator[Part]:
    for same, group in groupby(places, key=lambda p: p[1]):
        listed = [place for place, _ in group]
        yield Part(units.between(listed[0], listed[-1] + 1), same)


def _windows(
    seeds: Sequence[tuple[int, int]], said: Units, written: Written
) -> list[tuple[int, int, int, int]]:
    """Stretches of both texts around seeds that lie along one diagonal, those with most seeds first."""
    groups: list[list[tuple[int, int]]] = []
    latest: dict[int, int] = {}
    for i, j in seeds:
        band = (j - i) // BAND
        near = [latest[b] for b in (band - 1, band, band + 1) if b in latest]
        open_ = [g for g in near if i - groups[g][-1][0] <= MARGIN and i - groups[g][0][0] < LARGEST // 2]
        number = max(open_, default=len(groups))
        if number == len(groups):
            groups.append([])
        groups[number].append((i, j))
        latest[band] = number
    groups.sort(key=lambda g: (-len(g), g[0]))
    return [_window(g, len(said.words), len(written.units.words)) for g in groups[:MOST_WINDOWS]]


def _window(group: Sequence[tuple[int, int]], said: int, written: int) -> tuple[int, int, int, int]:
    first, begin = (max(0, min(s[k] for s in group) - MARGIN) for k in (0, 1))
    last, end = (max(s[k] for s in group) + SEED + MARGIN for k in (0, 1))
    return first, min(said, last, first + LARGEST), begin, min(written, end, begin + LARGEST)


def _aligned(one: NDArray[np.int64], other: NDArray[np.int64], first: int, begin: int) -> Aligned | None:
    """The best local alignment of two stretches, where it is one that counts."""
    scores = _scores(one, other)
    steps = _traced(scores, one, other)
    same = sum(i >= 0 and j >= 0 and bool(one[i] == other[j]) for i, j in steps)
    if same < LEAST_SAME:
        return None
    rows, columns = ([s[k] for s in steps if s[k] >= 0] for k in (0, 1))
    if same < LEAST_SHARE * max(len(rows), len(columns)):
        return None
    moved = tuple((i + first if i >= 0 else -1, j + begin if j >= 0 else -1) for i, j in steps)
    return Aligned(
        (rows[0] + first, rows[-1] + first + 1), (columns[0] + begin, columns[-1] + begin + 1), same, moved
    )


def _scores(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int32]:
    """The table of Smith and Waterman with one price a gap, row by row.

    Within a row the best gap is a running maximum of scores that the gap's price is added to.
    """
    table = np.zeros((one.size + 1, other.size + 1), dtype=np.int32)
    price = -GAP * np.arange(other.size + 1, dtype=np.int32)
    for k in range(one.size):
        above = table[k]
        step = np.where(other == one[k], SAME, OTHER).astype(np.int32)
        row = np.maximum(np.maximum(above + GAP, 0), np.concatenate([[0], above[:-1] + step]))
        table[k + 1] = np.maximum.accumulate(row + price) - price
    return table


def _traced(
    table: NDArray[np.int32], one: NDArray[np.int64], other: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Steps of the best alignment, from its beginning to its end."""
    i, j = divmod(int(np.argmax(table)), table.shape[1])
    steps: list[tuple[int, int]] = []
    while table[i, j] > 0:
        matched = SAME if one[i - 1] == other[j - 1] else OTHER
        if table[i, j] == table[i - 1, j - 1] + matched:
            i, j = i - 1, j - 1
            steps.append((i, j))
        elif table[i, j] == table[i - 1, j] + GAP:
            i -= 1
            steps.append((i, -1))
        else:
            j -= 1
            steps.append((-1, j))
    return steps[::-1]
