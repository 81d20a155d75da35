"""Numbers that several hypotheses read from one Evidence; derived, never measured anew."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from parentage.records.absence import Absent
from parentage.records.evidence import (
    Evidence,
    Mixture,
    ModelRole,
    Replay,
    ReplayTensor,
    TensorEvidence,
)

__all__ = ["ELIGIBLE_INFORMATIVE", "Readings", "Triangle", "is_matrix", "relative_distance"]

# A matrix with fewer informative elements is described, not judged: ΔLL = 10 needs 85 to 461 of them
# at the usual sizes of change, and vectors such as layer norms say only "above or below a half".
ELIGIBLE_INFORMATIVE = 200
# Raw weights of unrelated models of one architecture correlate by less than .1 (token frequencies
# shape embeddings alike); fine-tunes of one base by more than .9.
RELATED = 0.5
UNRELATED = 0.15


def is_matrix(tensor: TensorEvidence) -> bool:
    """Two or more dimensions with extent: norms, biases and convolution stubs are not."""
    return len([n for n in tensor.shape if n > 1]) >= 2


def relative_distance(tensor: TensorEvidence, model: int) -> float | None:
    """Root-mean-square distance to a model over the spread of the suspect's weights."""
    if model not in tensor.present or tensor.finite == 0 or tensor.spread == 0:
        return None
    return math.sqrt(max(tensor.gram[model - 1][model - 1], 0.0) / tensor.finite) / tensor.spread


@dataclass(frozen=True, slots=True)
class Triangle:
    """Where a suspect S, a model P and a model Q part: branch lengths in squared distance.

    Each is the median over matrices, as a share of the shortest of the other two; near zero means that
    the model sits at the fork, below zero (for S) that the suspect lies between the other two.
    """

    at_suspect: float
    at_first: float
    at_second: float
    matrices: int
    agree_first: float
    agree_suspect: float


class Readings:
    """A lazy view on one Evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Indices of the models given (or proposed) as parents."""
        return self._with_role(ModelRole.PARENT)

    @cached_property
    def others(self) -> tuple[int, ...]:
        """Every model but the suspect and shuffled controls."""
        real = (ModelRole.PARENT, ModelRole.BASE, ModelRole.CONTROL, ModelRole.PREVIOUS)
        return tuple(i for i, m in enumerate(self.evidence.models) if m.role in real)

    @cached_property
    def controls(self) -> tuple[int, ...]:
        """Real controls, or the shuffled one when there are none."""
        real = self._with_role(ModelRole.CONTROL)
        return real or self._with_role(ModelRole.SHUFFLED)

    def _with_role(self, role: ModelRole) -> tuple[int, ...]:
        return tuple(i for i, m in enumerate(self.evidence.models) if m.role is role)

    def name(self, model: int) -> str:
        """The display name of a model."""
        return self.evidence.models[model].name

    @cached_property
    def matrices(self) -> tuple[TensorEvidence, ...]:
        """Tensors with two dimensions or more and something in them."""
        return tuple(t for t in self.evidence.tensors if is_matrix(t) and t.finite >= ELIGIBLE_INFORMATIVE)

    def correlation(self, model: int) -> float:
        """Median correlation of raw weights over matrices; 0 when none is shared."""
        found = [abs(t.correlation[model - 1]) for t in self._spread(model)]
        return median(found) if found else 0.0

    def largest_correlation(self, model: int) -> float:
        """The ninth decile of that correlation: how alike the most alike matrices are."""
        found = sorted(abs(t.correlation[model - 1]) for t in self._spread(model))
        return found[int(0.9 * (len(found) - 1))] if found else 0.0

    def _spread(self, model: int) -> Iterable[TensorEvidence]:
        return (t for t in self.matrices if model in t.present and t.spread > 0)

    def distance(self, model: int) -> float | None:
        """Median relative distance over matrices that differ at all."""
        found = [d for t in self._spread(model) if (d := relative_distance(t, model)) is not None]
        moved = [d for d in found if d > 0]
        return median(moved) if moved else (0.0 if found else None)

    @cached_property
    def related(self) -> tuple[int, ...]:
        """Models whose raw weights correlate with the suspect's, nearest first."""
        near = [(self.distance(i) or 0.0, i) for i in self.others if self.correlation(i) >= RELATED]
        return tuple(i for _, i in sorted(near))

    @cached_property
    def all_unrelated(self) -> bool:
        """No model correlates with the suspect, not even in its most alike matrices."""
        return bool(self.others) and all(self.largest_correlation(i) < UNRELATED for i in self.others)

    def triangle(self, first: int, second: int) -> Triangle | None:
        """Branch lengths of suspect, ``first`` and ``second`` (embeddings left out: the gradient of
        frequent tokens points alike in all fine-tunes)."""
        rows = [r for t in self.matrices if (r := _branches(t, first, second)) is not None]
        if len(rows) < 3:
            return None
        s, p, q = (median(row[k] for row in rows) for k in range(3))
        return Triangle(
            s,
            p,
            q,
            len(rows),
            sum(row[1] <= 0.2 for row in rows) / len(rows),
            sum(row[0] <= 0.2 for row in rows) / len(rows),
        )

    def mixture(self, tensor: TensorEvidence, subject: int, pair: tuple[int, int]) -> Mixture | None:
        """One subject's mixture for a pair on a tensor."""
        for m in tensor.mixtures:
            if m.subject == subject and (m.first, m.second) == pair:
                return m
        return None

    @cached_property
    def replay(self) -> Replay | None:
        """The suspect's best replay."""
        own = [r for r in self.evidence.replays if r.subject == 0]
        return own[0] if own else None

    @cached_property
    def replayed(self) -> dict[str, ReplayTensor]:
        """The best replay by tensor name."""
        return {} if self.replay is None else {t.name: t for t in self.replay.tensors}

    @cached_property
    def pair(self) -> tuple[int, int] | None:
        """The pair of parents that the likelihoods were spent on in most tensors."""
        votes: dict[tuple[int, int], int] = {}
        for t in self.matrices:
            for m in t.mixtures:
                spent = not isinstance(m.comparison, Absent) or m.consistency == 1.0
                if m.subject == 0 and spent and m.informative >= ELIGIBLE_INFORMATIVE:
                    votes[(m.first, m.second)] = votes.get((m.first, m.second), 0) + 1
        return max(sorted(votes), key=lambda k: votes[k]) if votes else None


def _branches(tensor: TensorEvidence, first: int, second: int) -> tuple[float, float, float] | None:
    present = first in tensor.present and second in tensor.present
    if not present or tensor.component in ("embedding", "head"):
        return None
    g, i, j = tensor.gram, first - 1, second - 1
    at_suspect = g[i][j]
    at_first = g[i][i] - g[i][j]
    at_second = g[j][j] - g[i][j]
    lengths = (at_suspect, at_first, at_second)
    if max(abs(x) for x in lengths) == 0:
        return None
    return tuple(_share(lengths, k) for k in range(3))  # type: ignore[return-value]


def _share(lengths: tuple[float, float, float], k: int) -> float:
    rest = [x for i, x in enumerate(lengths) if i != k]
    floor = min(rest)
    scale = floor if floor > 0 else max(abs(x) for x in lengths)
    return max(-10.0, min(10.0, lengths[k] / scale)) if scale > 0 else 0.0
