"""Losses along a line of models, with intervals from drawing the texts again: pure numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.exploring import Barrier
from parentage.training.models import TextLoss

__all__ = ["RESAMPLES", "Curve"]

RESAMPLES = 2_000
LEVEL = 0.95
NONE = Absent("no text has two tokens or more")


class Curve:
    """Losses of models at ``weights``: ``rows[k]`` are model k's, text by text, in one order.

    Every interval is a percentile bootstrap over whole texts, the same draws for all models, so that
    differences between models are paired.
    """

    def __init__(self, weights: Sequence[float], rows: Sequence[Sequence[TextLoss]]) -> None:
        self.weights = np.array(weights, np.float64)
        nats = np.array([[loss for loss, _ in row] for row in rows], np.float64)
        tokens = np.array([[count for _, count in row] for row in rows], np.float64)
        kept = (tokens > 0).all(axis=0)
        self._nats, self._tokens = nats[:, kept], tokens[:, kept]
        self.known = bool(kept.any())
        n = int(kept.sum())
        drawn = np.random.default_rng(0).integers(0, max(1, n), (RESAMPLES, n))
        self._own = self._means(np.arange(n)[None])[:, 0] if self.known else np.zeros(len(rows))
        self._again = self._means(drawn) if self.known else np.zeros((len(rows), RESAMPLES))

    def _means(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Nats a token, [models, draws]."""
        found: NDArray[np.float64] = self._nats[:, columns].sum(axis=2) / self._tokens[:, columns].sum(
            axis=2
        )
        return found

    def loss(self, k: int) -> Estimate | Absent:
        """Of model k, nats a token."""
        return _estimate(self._own[k], self._again[k]) if self.known else NONE

    def excess(self, k: int) -> Estimate | Absent:
        """Of model k over the straight line between the ends' losses."""
        if not self.known:
            return NONE
        return _estimate(self._above(self._own[:, None])[k, 0], self._above(self._again)[k])

    def _above(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights' least is the second model alone, their greatest the first."""
        low, high = int(self.weights.argmin()), int(self.weights.argmax())
        share = (self.weights - self.weights[low]) / (self.weights[high] - self.weights[low])
        found: NDArray[np.float64] = losses - (
            share[:, None] * losses[high] + (1 - share[:, None]) * losses[low]
        )
        return found

    def barrier(self) -> Barrier | Absent:
        """The highest excess between the ends (Frankle et al. 2020, arXiv 1912.05671)."""
        inside = np.flatnonzero((self.weights > self.weights.min()) & (self.weights < self.weights.max()))
        if not self.known or not inside.size:
            return NONE if not self.known else Absent("no model between the ends was asked")
        own, again = self._above(self._own[:, None])[inside, 0], self._above(self._again)[inside]
        top = int(own.argmax())
        return Barrier(float(self.weights[inside[top]]), _estimate(own[top], again.max(axis=0)))


def _estimate(own: float, again: NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(again, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(float(own), min(float(low), float(own)), max(float(high), float(own)), LEVEL)
