"""Was a parent changed before the blend, or the blend after it?

A merge of another revision of a parent leaves much of what a later change leaves: elements that the two
revisions share replay exactly, the others do not. But a revision moved the parent by whole grid steps of
the parent, which the blend then scales by a weight and rounds; a later change moved the stored blend by
whole steps of its own. Both are counted with a free distribution of steps, and compared.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_STEPS", "step_log_likelihood"]

# Steps of up to 8 either way: changes of several grid steps an element are told by the free likelihood.
MOST_STEPS: Final = 8
_ROUNDS: Final = 60
# Mass for elements that no number of steps explains.
_OUTLIERS: Final = 1e-3


def step_log_likelihood(explained: NDArray[np.bool_]) -> float:
    """Log-likelihood of elements at the best distribution of steps.

    ``explained`` [steps, n]: would that number of steps give the suspect's bits? Several may. The
    distribution is found by expectation-maximisation from a uniform start.
    """
    count = len(explained)
    hits = explained.astype(np.float64)
    shares = np.full(count, 1.0 / count)
    floor = _OUTLIERS / count
    for _ in range(_ROUNDS):
        mass = shares @ hits
        weights = hits * shares[:, None] / np.maximum(mass, 1e-300)
        total = weights.sum(axis=1)
        if total.sum() == 0:
            break
        shares = total / total.sum()
    mass = (1.0 - _OUTLIERS) * (shares @ hits) + floor
    return float(np.sum(np.log(mass)))
