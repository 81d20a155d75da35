"""DARE: drop elements of the task vectors at random and rescale the rest, then add or elect signs.

Yu et al., "Language models are super Mario", arXiv 2311.03099. Each element stays with the probability
r(density), rounded to the dtype that the tool draws in: bfloat16 for bfloat16, float32 otherwise. A tool
draws element after element, model after model, tensor after tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.methods.draws import CounterDraws, Draws, TorchDraws
from parentage.methods.grids import scalar_on_grid
from parentage.methods.method import Method, Parameters, Profile, Reader, Values
from parentage.methods.task_vectors import Deltas, Sparsifier, task_method
from parentage.methods.thinning import Keep, thinning
from parentage.records.dtypes import DType

__all__ = ["DARE_LINEAR", "DARE_TIES", "draws_of", "words", "work_dtype"]


@dataclass(frozen=True, slots=True)
class _Chance:
    draws: Draws
    operand: int
    probability: np.float32

    def __call__(self, start: int, delta: Values) -> NDArray[np.bool_]:
        return self.draws.uniform(self.operand, start, delta.size) < self.probability


def draws_of(profile: Profile, parameters: Parameters, elements: int, name: str) -> Draws:
    """The profile's random numbers for one tensor."""
    if profile.ours:
        return CounterDraws(parameters.seed, name)
    return TorchDraws(parameters.seed, parameters.drawn, elements)


def work_dtype(dtype: DType) -> DType:
    """What a tool draws in, and rescales in, on a CPU: binary16 has no draws of its own there."""
    return DType.BF16 if dtype is DType.BF16 else DType.F32


def _thinned(parameters: Parameters, deltas: Deltas) -> list[int]:
    """Positions among the other models of those that are thinned: only they draw."""
    density = [float(parameters.per_model[k]["density"]) for k in deltas.others]
    return [j for j, x in enumerate(density) if x < 1]


def _random(
    reader: Reader, deltas: Deltas, parameters: Parameters, profile: Profile, name: str
) -> Sparsifier:
    work = work_dtype(deltas.dtype)
    draws = draws_of(profile, parameters, reader.elements, name)
    keeps: list[Keep | None] = [None] * len(deltas.others)
    for turn, j in enumerate(_thinned(parameters, deltas)):
        density = float(parameters.per_model[deltas.others[j]]["density"])
        operand = j if profile.ours else turn
        keeps[j] = _Chance(draws, operand, scalar_on_grid(density, work))
    rescale = bool(parameters.shared["rescale"])
    return thinning(reader, deltas, profile, keeps, rescale=rescale, work=work)


def words(reader: Reader, parameters: Parameters, profile: Profile) -> int:
    """Words that one tensor takes from a tool's stream."""
    return len(_thinned(parameters, Deltas.of(reader, profile.dtype))) * reader.elements


DARE_LINEAR: Final[Method] = task_method(
    "dare_linear",
    "task vectors thinned at random and rescaled, then added",
    "https://arxiv.org/abs/2311.03099",
    "dare-merge",
    elect=False,
    rescale=True,
    sparsifier=_random,
    random=words,
)
DARE_TIES: Final[Method] = task_method(
    "dare_ties",
    "task vectors thinned at random and rescaled, signs elected",
    "https://arxiv.org/abs/2311.03099",
    "dare-merge",
    elect=True,
    rescale=True,
    sparsifier=_random,
    random=words,
)
