"""Model breadcrumbs: drop the largest and the smallest elements of each task vector.

Davari & Belilovsky, "Model breadcrumbs", arXiv 2312.06795. In ascending order of |d| the window of
floor(density * n) elements stays whose end leaves floor(gamma * n) of the largest out; where both do not
fit, fewer of the largest are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.methods.method import Declared, Method, Parameters, Profile, Reader, Values
from parentage.methods.selection import Asked, Cut, cuts
from parentage.methods.stored_deltas import passes_over
from parentage.methods.task_vectors import Deltas, Sparsifier, task_method
from parentage.methods.thinning import Keep, thinning

__all__ = ["BREADCRUMBS", "BREADCRUMBS_TIES"]

GAMMA: Final = Declared(
    "gamma", "share of the largest elements that is dropped", per_model=True, default=0.01, low=0, high=1
)


@dataclass(frozen=True, slots=True)
class _Window:
    low: Cut
    high: Cut

    def __call__(self, start: int, delta: Values) -> NDArray[np.bool_]:
        low = self.low.before(delta, start, descending=False)
        return self.high.before(delta, start, descending=False) & ~low


def window(density: float, gamma: float, n: int, *, older: bool = False) -> tuple[int, int]:
    """First and last (exclusive) place, in ascending order, of what stays. ``older``: mergekit 0.1.4, which
    keeps nothing where no outlier is dropped (its slice ends at -0)."""
    target, top = int(density * n), int(gamma * n)
    bottom = max(0, n - target - top)
    if older and min(top, n - target) == 0:
        return bottom, bottom
    return bottom, bottom + target


def _outliers(
    reader: Reader, deltas: Deltas, parameters: Parameters, profile: Profile, name: str
) -> Sparsifier:
    n = reader.elements
    rows = [parameters.per_model[k] for k in deltas.others]
    thinned = [j for j, p in enumerate(rows) if float(p["density"]) < 1]
    asked: list[Asked] = []
    for j in thinned:
        older = profile.id == "mergekit-0.1.4"
        low, high = window(float(rows[j]["density"]), float(rows[j]["gamma"]), n, older=older)
        asked += [Asked(j, low, False), Asked(j, high, False)]

    def look(start: int, count: int) -> Values:
        return deltas(reader.read(start, count))

    tool, passes = not profile.ours, passes_over(reader, deltas)
    found = cuts(passes, asked, len(rows), n, as_tool=tool, look=look) if asked and n else []
    keeps: list[Keep | None] = [None] * len(rows)
    for turn, j in enumerate(thinned[: len(found) // 2]):
        keeps[j] = _Window(found[2 * turn], found[2 * turn + 1])
    rescale = bool(parameters.shared["rescale"])
    return thinning(reader, deltas, profile, keeps, rescale=rescale, work=deltas.dtype)


BREADCRUMBS: Final[Method] = task_method(
    "breadcrumbs",
    "task vectors without their largest and smallest elements, added",
    "https://arxiv.org/abs/2312.06795",
    "breadcrumbs-merge",
    elect=False,
    sparsifier=_outliers,
    more=(GAMMA,),
)
BREADCRUMBS_TIES: Final[Method] = task_method(
    "breadcrumbs_ties",
    "task vectors without their largest and smallest elements, signs elected",
    "https://arxiv.org/abs/2312.06795",
    "breadcrumbs-merge",
    elect=True,
    sparsifier=_outliers,
    more=(GAMMA,),
)
