"""Recognisers in the order in which they are tried: of recipes that replay alike the first one is named."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from parentage.evidence.recognition.candidate import Recogniser

__all__ = ["RECOGNISERS", "recogniser", "recognisers"]

# Fewest free numbers first. One line a recogniser.
RECOGNISERS: Final[tuple[str, ...]] = (
    "parentage.evidence.recognition.adapters.finding:ADAPTERS",
    "parentage.evidence.recognition.low_rank:LOW_RANK",
    "parentage.evidence.recognition.model_stock:MODEL_STOCK",
    "parentage.evidence.recognition.importance:ARCEE_FUSION",
    "parentage.evidence.recognition.variance:SCE",
    "parentage.evidence.recognition.nearswap:NEARSWAP",
    "parentage.evidence.recognition.karcher:KARCHER",
    "parentage.evidence.recognition.weighted_sum:WEIGHTED_SUM",
    "parentage.evidence.recognition.slerp:SLERP",
    "parentage.evidence.recognition.task_arithmetic:TASK_ARITHMETIC",
    "parentage.evidence.recognition.spherical:NUSLERP",
    "parentage.evidence.recognition.spherical:MULTISLERP",
    "parentage.evidence.recognition.thinned.by_size:THINNED_BY_SIZE",
    "parentage.evidence.recognition.thinned.by_chance:THINNED_BY_CHANCE",
    "parentage.evidence.recognition.image_models:ADD_DIFFERENCE",
)


def recogniser(place: str) -> Recogniser:
    """Load one."""
    module, found = place.split(":")
    return cast(Recogniser, getattr(import_module(module), found))


def recognisers() -> tuple[Recogniser, ...]:
    """All of them, in order."""
    return tuple(recogniser(place) for place in RECOGNISERS)
