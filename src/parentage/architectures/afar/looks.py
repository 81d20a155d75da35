"""What a look over a network has, spends and leaves: the sample's places, a purse, what was not sought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.architectures.unit_prints import Side
from parentage.checkpoints.checkpoint import Slices
from parentage.checkpoints.remote.purse import Purse
from parentage.numerics.storage.formats import to_float64

__all__ = ["AfarLook", "Places", "alike", "read_places"]

Floats = NDArray[np.float64]
Places = tuple[NDArray[np.int64], int]
"""Starts of runs, and their length in elements."""

# A run is cut where a row ends; shorter cuts of longer rows are not looked at.
LEAST_PIECE = 32
# Of unrelated rows of 512 numbers the cosine is .04 by chance; fine-tunes have more than .9.
ALIKE = 0.5
# Factors that are undone are powers of two: those of a row make its length differ by two or more.
RATIO = 1.4
IN_PLACE = 0.99


@dataclass(slots=True)
class AfarLook:
    """``places``: where the sample reads a tensor, which costs nothing more. ``unlike``: (model, tensor)
    whose sampled numbers are not the counterpart's; ``on_sample``: how many of them meet in an order that
    another tensor showed, as far as the sample tells; ``unsought``: bytes that the search in one would
    have taken, where the purse did not hold them. ``turned``: whether matrices that a file holds the other
    way round are searched, which an earlier version left."""

    places: Callable[[AlignedTensor], Places]
    purse: Purse
    turned: bool = True
    unlike: set[tuple[int, str]] = field(default_factory=set)
    on_sample: set[tuple[int, str]] = field(default_factory=set)
    unsought: dict[tuple[int, str], int] = field(default_factory=dict)

    def slices(self, side: Side, group: AlignedTensor) -> Slices:
        """The sample's slices of one side."""
        return Slices(side.ref, *self.places(group))


def read_places(side: Side, places: Places) -> Floats:
    """Numbers of some runs [runs, length] as float64; what is not finite as 0."""
    values = to_float64(side.checkpoint.read_blocks(side.ref, *places).reshape(-1), side.ref.dtype)
    return np.where(np.isfinite(values), values, 0.0).reshape(len(places[0]), -1)


def alike(own: Floats, other: Floats, places: Places, width: int) -> bool:
    """Do runs of two matrices whose rows hold ``width`` numbers show the same rows, with one scale?"""
    numbers = (places[0][:, None] + np.arange(places[1])).reshape(-1) // max(width, 1)
    cuts = np.flatnonzero(np.diff(numbers) != 0) + 1
    begins = np.unique(np.concatenate([cuts, np.arange(0, numbers.size, places[1])]))
    counts = np.diff([*begins, numbers.size])
    a, b = own.reshape(-1), other.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sums = [np.add.reduceat(x, begins) for x in (a * b, a * a, b * b)]
        one, two = np.sqrt(sums[1]), np.sqrt(sums[2])
        cosine = np.where(one * two > 0, sums[0] / (one * two), 0.0)
        steady = (one < RATIO * two) & (two < RATIO * one)
    wanted = np.maximum(ALIKE, np.minimum(0.9, 2 * np.sqrt(2 * np.log(2) / counts)))
    told = (counts >= min(LEAST_PIECE, width)) & ((one > 0) | (two > 0))
    return not told.any() or float(np.mean((steady & (cosine >= wanted))[told])) >= IN_PLACE
