"""A linear recipe against a suspect's raw storage bits: counted in one pass, nothing materialised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.linear import (
    FP64,
    FUSED,
    MERGEKIT_014,
    SUM,
    Arithmetic,
    blend,
    narrow_format,
    start,
    step,
)
from parentage.numerics.storage.rounding_kernels import from_bits
from parentage.numerics.streaming.read_kernels import fill
from parentage.numerics.streaming.replay_kernels import (
    BLOCK,
    COUNTS,
    FORMATS,
    INFORMATIVE,
    INFORMATIVE_MATCHES,
    count,
    count_clean,
    decode,
    drop_not_finite,
    narrow,
)
from parentage.numerics.streaming.screen_kernels import HALF, MISS, UPPER, flagged, nearest_upper, survey
from parentage.records.dtypes import DType

__all__ = ["LinearStream"]

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]
Values = NDArray[np.float32]
Pair = tuple[np.float32, np.float32]
# Cast, rule, parameters, is binary16, grid, weights: a recipe as compiled loops take it.
Compiled = tuple[int, int, NDArray[np.float64], bool, int, NDArray[np.float64]]
# The suspect's numbers and the parents', put aside.
Kept = tuple[Values, Values]
Room = tuple[Values, NDArray[np.float64], NDArray[np.int32]]


# Words that differ from the replay, of a block's 1,024, up to which a closer look is taken at these alone.
FEW: Final = BLOCK // 4


@njit(cache=True, nogil=True, error_model="numpy")
def _pair(rule: int, first: np.float32, second: np.float32, a: np.uint32, b: np.uint32) -> np.uint32:
    """The blend of two numbers given by the upper halves of words, rounded to an upper half."""
    if rule == MERGEKIT_014:
        # Products are rounded as ``step`` rounds them, of numbers that are known to be finite.
        one = from_bits(np.uint32(nearest_upper(first * from_bits(a)) & UPPER))
        other = from_bits(np.uint32(nearest_upper(second * from_bits(b)) & UPPER))
        return nearest_upper(start(rule) + one + other)
    begun = step(rule, False, start(rule), first, from_bits(a))
    return nearest_upper(step(rule, False, begun, second, from_bits(b)))


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(
    rule: int, own: Words, left: Words, right: Words, n: int, weights: Pair, differences: Words
) -> np.uint32:
    """Two bfloat16 parents whose weights sum to 1, against the stored bits: for each of ``n`` words the
    bits that differ (those of the upper half count), and all of them together."""
    first, second, all_of_them = weights[0], weights[1], np.uint32(0)
    for i in range(n):
        upper = _pair(rule, first, second, np.uint32(left[i] & UPPER), np.uint32(right[i] & UPPER))
        lower = _pair(rule, first, second, np.uint32(left[i] << HALF), np.uint32(right[i] << HALF))
        apart = np.uint32(
            np.uint32(upper ^ np.uint32(own[i] & UPPER)) | np.uint32(lower ^ np.uint32(own[i] << HALF))
        )
        differences[i] = apart
        all_of_them |= apart
    return all_of_them


@njit(cache=True, nogil=True, error_model="numpy")
def _compare_by(
    rule: int, own: Words, left: Words, right: Words, n: int, weights: Pair, differences: Words
) -> np.uint32:
    # Each rule has a loop of its own, without branches.
    if rule == SUM:
        return _compare(SUM, own, left, right, n, weights, differences)
    if rule == FUSED:
        return _compare(FUSED, own, left, right, n, weights, differences)
    return _compare(MERGEKIT_014, own, left, right, n, weights, differences)


@njit(cache=True, nogil=True, error_model="numpy")
def _take(words: Words, places: NDArray[np.int32], n: int, out: Values, at: int) -> None:
    """Decode both numbers of the words at ``places`` to ``out`` from ``at`` on."""
    for j in range(n):
        word = words[places[j]]
        out[at + 2 * j] = from_bits(np.uint32(word << HALF))
        out[at + 2 * j + 1] = from_bits(np.uint32(word & UPPER))


@njit(cache=True, nogil=True, error_model="numpy")
def _put_aside(
    words: tuple[Words, Words, Words], places: NDArray[np.int32], n: int, kept: Kept, at: int
) -> None:
    own, values = kept
    _take(words[0], places, n, own, at)
    _take(words[1], places, n, values[0], at)
    _take(words[2], places, n, values[1], at)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_values(
    recipe: Compiled, own: Values, values: Values, n: int, room: Room, counts: NDArray[np.int64]
) -> None:
    """Blend ``n`` finite numbers and count them; ``room`` [BLOCK] each is overwritten."""
    _, rule, params, binary16, grid, weights = recipe
    total, wide, moved = room
    blend(rule, params, values, n, binary16, total, wide)
    if rule == FP64:
        narrow(wide, grid, n, total)
    count(total, own, values, n, grid, weights, counts, moved)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_kept(recipe: Compiled, kept: Kept, n: int, room: Room, counts: NDArray[np.int64]) -> None:
    """Count ``n`` numbers that were put aside, and of which the informative ones are counted already."""
    before = counts[INFORMATIVE]
    _count_values(recipe, kept[0], kept[1], n, room, counts)
    again = counts[INFORMATIVE] - before
    counts[INFORMATIVE] -= again
    counts[INFORMATIVE_MATCHES] -= again


@njit(cache=True, nogil=True, error_model="numpy")
def _read_piece(
    files: NDArray[np.int64], raw: Bytes, stored: NDArray[np.int64], begin: int, n: int
) -> bool:
    for k in range(files.shape[1]):
        size = 4 if stored[k] == 2 else 2
        if not fill(files[0, k], files[1, k] + begin * size, raw[k], n * size):
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _count_pieces(
    files: NDArray[np.int64],
    raw: Bytes,
    shifts: NDArray[np.int64],
    stored: NDArray[np.int64],
    n: int,
    piece: int,
    recipe: Compiled,
    counts: NDArray[np.int64],
) -> int:
    """``raw`` [1 + K, bytes] suspect first, then the parents, in the formats ``stored`` [1 + K], from the
    bytes ``shifts`` [1 + K] of their rows on.

    ``files`` [2, 1 + K]: descriptors and offsets, from which pieces of ``piece`` elements are read to
    ``raw``; [2, 0] where ``raw`` holds all ``n``. How many elements are done when reading fails.

    One function, and not three: the compiler works anew on what a function calls, for each that calls it.
    """
    cast, rule, params, _, grid, _ = recipe
    models = raw.shape[0] - 1
    own, values = np.empty(BLOCK, np.float32), np.empty((models, BLOCK), np.float32)
    room = (np.empty(BLOCK, np.float32), np.empty(BLOCK), np.empty(BLOCK, np.int32))
    differences, places = np.empty(BLOCK // 2, np.uint32), np.empty(BLOCK // 2, np.int32)
    # Words off the replay are put aside until there is a block of them.
    kept, aside = (np.empty(BLOCK, np.float32), np.empty((models, BLOCK), np.float32)), 0
    pair = (np.float32(params[0]), np.float32(params[1]))
    # BF16 is format 0.
    quick = models == 2 and grid == 0 and cast <= 0 and np.all(stored == 0) and params[2] == 1.0
    quick = quick and (rule in (SUM, FUSED, MERGEKIT_014))
    skipped, wait, done = 0, 0, 0
    while done < n:
        begin = done % piece
        if begin == 0 and not _read_piece(files, raw, stored, done, min(piece, n - done)):
            break
        here = min(BLOCK, n - done, piece - begin)
        done += here
        if quick and wait == 0 and here % 2 == 0:
            # Rows are sliced one by one: only so does the compiler know that they are contiguous.
            row_0 = raw[0, shifts[0] + 2 * begin : shifts[0] + 2 * (begin + here)]
            row_1 = raw[1, shifts[1] + 2 * begin : shifts[1] + 2 * (begin + here)]
            row_2 = raw[2, shifts[2] + 2 * begin : shifts[2] + 2 * (begin + here)]
            words = (row_0.view(np.uint32), row_1.view(np.uint32), row_2.view(np.uint32))
            informative = survey(row_0.view(np.uint16), row_1.view(np.uint16), row_2.view(np.uint16), here)
            few = -1
            if informative >= 0:
                some = _compare_by(rule, words[0], words[1], words[2], here // 2, pair, differences)
                few = flagged(differences, here // 2, places) if some >= MISS else 0
            if 0 <= few <= FEW:
                skipped = 0
                count_clean(here - 2 * few, informative, counts)
                if aside + 2 * few > BLOCK:
                    _count_kept(recipe, kept, aside, room, counts)
                    aside = 0
                _put_aside(words, places, few, kept, aside)
                aside += 2 * few
                continue
            # Where block after block holds many, ever fewer get a quick look that fails.
            skipped = min(2 * skipped + 1, 63)
            wait = skipped
        elif wait > 0:
            wait -= 1
        finite = True
        for k in range(models + 1):
            size = 4 if stored[k] == 2 else 2
            row = raw[k, shifts[k] + begin * size : shifts[k] + (begin + here) * size]
            finite &= decode(row, stored[k], cast if k else -1, here, values[k - 1] if k else own)
        if not finite:
            here = drop_not_finite(values, own, here)
        _count_values(recipe, own, values, here, room, counts)
    _count_kept(recipe, kept, aside, room, counts)
    return done


@dataclass(frozen=True, slots=True)
class LinearStream:
    """One recipe, ready to be counted chunk by chunk; see ``streaming.replay_kernels`` for what is counted.

    ``stored``: formats of the suspect's bits, then of each parent's. ``out``: the format that the blend is
    rounded to, which the suspect's numbers fit (a float32 file may hold bfloat16 numbers). ``cast``: the
    format that the parents are rounded to first. All of BF16, F16 and F32 (``supports``).
    """

    arithmetic: Arithmetic
    weights: tuple[float, ...]
    stored: tuple[DType, ...]
    out: DType
    cast: DType | None = None

    @staticmethod
    def supports(dtypes: Sequence[DType]) -> bool:
        """Are all of these formats compiled?"""
        return all(d in FORMATS for d in dtypes)

    def count(
        self, raw: NDArray[np.uint8], elements: int, shifts: Sequence[int] | None = None
    ) -> NDArray[np.int64]:
        """Counts [COUNTS] over ``elements`` of ``raw`` [1 + K, bytes]; other threads run meanwhile.

        Rows begin at multiples of 4 bytes and hold the bits little-endian, from their start or from the
        bytes ``shifts`` on, multiples of 4.
        """
        counts, nothing = np.zeros(COUNTS, np.int64), np.empty((2, 0), np.int64)
        whole = max(1, elements)
        formats, recipe = self._formats(), self._recipe()
        _count_pieces(nothing, raw, self._shifts(shifts), formats, elements, whole, recipe, counts)
        return counts

    def count_files(
        self, files: Sequence[tuple[int, int]], elements: int, room: NDArray[np.uint8], piece: int
    ) -> tuple[NDArray[np.int64], int]:
        """The same over ``elements`` of open files, by (descriptor, offset) of suspect and parents; and how
        many of them were read before a read failed, a multiple of ``piece`` unless all were.

        ``room`` [1 + K, bytes of a piece at least] is overwritten.
        """
        counts, places = np.zeros(COUNTS, np.int64), np.array(files, np.int64).T.copy()
        formats, recipe = self._formats(), self._recipe()
        done = _count_pieces(places, room, self._shifts(None), formats, elements, piece, recipe, counts)
        return counts, int(done)

    def _shifts(self, given: Sequence[int] | None) -> NDArray[np.int64]:
        return np.array([0] * len(self.stored) if given is None else given, np.int64)

    def _formats(self) -> NDArray[np.int64]:
        return np.array([FORMATS[d] for d in self.stored], np.int64)

    def _recipe(self) -> Compiled:
        """Cast, rule, parameters, is binary16, grid and weights, as the compiled loops take them."""
        return (
            -1 if self.cast is None else FORMATS[self.cast],
            self.arithmetic.rule,
            self.arithmetic.params(self.weights, self.out),
            narrow_format(self.out) is DType.F16,
            FORMATS[self.out],
            np.array(self.weights, np.float64),
        )
