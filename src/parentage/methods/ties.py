"""TIES: trim each task vector to its largest elements, elect a sign, merge those that agree.

Yadav et al., "TIES-Merging: resolving interference when merging models", arXiv 2306.01708. The k largest of
|d| stay, k = floor(density * n) (mergekit 0.1.5: at least one where the density is above zero).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.method import Method, Parameters, Profile, Reader, Values
from parentage.methods.selection import Asked, Cut, cuts
from parentage.methods.stored_deltas import passes_over
from parentage.methods.stored_merge import Trims
from parentage.methods.task_vectors import Deltas, Sparsifier, task_method
from parentage.methods.thinning import thinning

__all__ = ["TIES"]


@dataclass(frozen=True, slots=True)
class _Largest:
    cut: Cut

    def __call__(self, start: int, delta: Values) -> NDArray[np.bool_]:
        return self.cut.before(delta, start, descending=True)


def _nothing(start: int, delta: Values) -> NDArray[np.bool_]:
    return np.zeros(delta.size, np.bool_)


def kept(density: float, n: int, profile: Profile) -> int:
    """How many elements stay."""
    k = int(density * n)
    if k == 0 and profile.id == "mergekit-0.1.4":
        raise UsageError(
            f"a density of {density:g} keeps nothing of {n:,} elements, where mergekit 0.1.4 stops",
            code="density-keeps-nothing",
            hint="a larger density, or the arithmetic mergekit-0.1.5, which keeps one element",
        )
    return max(1, k)


def _largest(
    reader: Reader, deltas: Deltas, parameters: Parameters, profile: Profile, name: str
) -> Sparsifier:
    densities = [float(parameters.per_model[k]["density"]) for k in deltas.others]
    n = reader.elements
    asked = [Asked(j, kept(x, n, profile), True) for j, x in enumerate(densities) if 0 < x < 1 and n]

    def look(start: int, count: int) -> Values:
        return deltas(reader.read(start, count))

    tool = not profile.ours
    passes = passes_over(reader, deltas)
    found = cuts(passes, asked, len(densities), n, as_tool=tool, look=look) if asked else []
    stay: list[Cut | bool] = [x >= 1 for x in densities]
    for a, cut in zip(asked, found, strict=True):
        stay[a.row] = cut if a.count else False
    keeps = [_Largest(k) if isinstance(k, Cut) else None if k else _nothing for k in stay]
    rescale = bool(parameters.shared["rescale"])
    thinned = thinning(reader, deltas, profile, keeps, rescale=rescale, work=deltas.dtype)
    return thinned if rescale else replace(thinned, trims=Trims.of(stay))


TIES: Final[Method] = task_method(
    "ties",
    "trimmed task vectors, signs elected, agreeing elements averaged",
    "https://arxiv.org/abs/2306.01708",
    "ties-merge",
    elect=True,
    normalize=True,
    sparsifier=_largest,
)
