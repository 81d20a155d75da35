"""Numbers that several hypotheses read from one Evidence; derived, never measured anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from parentage.numerics.shares.intervals_binomial import Pooled, hartung_knapp
from parentage.records.absence import Absent
from parentage.records.evidence import (
    Evidence,
    Mixture,
    ModelRole,
    Replay,
    ReplayTensor,
    SetComparison,
    TensorEvidence,
    WeightSet,
)
from parentage.records.quantized import CodedTensor
from parentage.verdicts.blends.blend_tests import explains_all, passes_later_change

__all__ = [
    "AT_FORK",
    "ELIGIBLE_INFORMATIVE",
    "NEXT_TO",
    "Branch",
    "Readings",
    "Triangle",
    "is_matrix",
    "relative_distance",
]

# A matrix with fewer informative elements is described, not judged: ΔLL = 10 needs 85 to 461 of them
# at the usual sizes of change, and vectors such as layer norms say only "above or below a half".
ELIGIBLE_INFORMATIVE = 200
# Raw weights of unrelated models of one architecture correlate by less than .1 (token frequencies
# shape embeddings alike); fine-tunes of one base by more than .9.
RELATED = 0.5
UNRELATED = 0.15


# At least so many of the matrices in which three or more parents were asked for must be their blend: a few
# may be one by luck.
SEVERAL_SHARE = 0.25
# Of what all parents explain beyond the best two, in log-likelihood: below, size and direction of what is
# left over do not ask for more, and a grid that does in one matrix may do so by luck (13.6 was seen).
MORE_THAN_TWO = 10.0
LUCKY_SHARE = 0.05
# Models this near to one another, over the suspect's distance, are as good as one: of the suspect's squared
# change they are a hundredth, a sentence's "within" covers them, and which of them is nearer says little.
NEXT_TO = 0.1
# A model sits at a fork when its branch is at most a fiftieth of the shorter of the other two. The real
# base of MiniLM's fine-tunes shows .005.
AT_FORK = 0.02
# The same in a single matrix, which chance moves more.
AT_FORK_ALONE = 0.2
OWN_COSINE = 0.013
# Storage rounding of a fork may be taken off its branch up to this share: beyond, bf16 hides the fork.
CORRECTION = 0.3


def is_matrix(tensor: TensorEvidence) -> bool:
    """Two or more dimensions with extent: norms, biases and convolution stubs are not."""
    return len([n for n in tensor.shape if n > 1]) >= 2


def relative_distance(tensor: TensorEvidence, model: int) -> float | None:
    """Root-mean-square distance to a model over the spread of the suspect's weights."""
    if model not in tensor.present or tensor.finite == 0 or tensor.spread == 0:
        return None
    return math.sqrt(max(tensor.gram[model - 1][model - 1], 0.0) / tensor.finite) / tensor.spread


@dataclass(frozen=True, slots=True)
class Branch:
    """How far one of three models sits from the point where they part, as a share (of squared length) of
    the shorter of the other two branches; medians over matrices.

    ``raw`` counts the model's own storage rounding in, ``least`` does not: a base that its fine-tunes
    started from as stored has none, a base that was stored after them has. Below zero it lies between.
    ``agree``: share of the matrices in which it is that of a model at the fork: ``least`` of a suspect; of
    another model ``raw``, ``least`` or what lies between.
    """

    raw: float
    least: float
    agree: float


@dataclass(frozen=True, slots=True)
class Triangle:
    """Where a suspect, a first and a second model part."""

    suspect: Branch
    first: Branch
    second: Branch
    matrices: int
    along: Pooled
    """How far from ``first`` towards ``second`` the suspect lies, as a share of their distance, with its
    interval over matrices. A blend does, siblings that moved alike do, and a first model that was itself
    rounded."""


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
        """Every model but the suspect, its earlier upload and shuffled controls."""
        real = (ModelRole.PARENT, ModelRole.BASE, ModelRole.CONTROL)
        return tuple(i for i, m in enumerate(self.evidence.models) if m.role in real)

    @cached_property
    def controls(self) -> tuple[int, ...]:
        """Real controls, or the shuffled one when there are none."""
        real = self._with_role(ModelRole.CONTROL)
        return real or self._with_role(ModelRole.SHUFFLED)

    @cached_property
    def root(self) -> int | None:
        """The model that the others are known to have been made from, as the user said; else None."""
        root = self.evidence.used.get("root")
        return root if isinstance(root, int) and root in self.others else None

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
        return (t for t in self.matrices if model in t.present and t.spread > 0 and t.finite)

    def distance(self, model: int) -> float | None:
        """Norm of the difference over the norm of the weights, all matrices together, each counted as
        large as it is."""
        found = list(self._spread(model))
        whole = sum(t.square * t.elements / t.finite for t in found)
        if not whole:
            return None
        moved = sum(max(t.gram[model - 1][model - 1], 0.0) * t.elements / t.finite for t in found)
        return math.sqrt(moved / whole)

    def apart(self, first: int, second: int) -> float | None:
        """Norm of the two models' difference over the norm of the suspect's weights, as ``distance``."""
        i, j = first - 1, second - 1
        found = [t for t in self._spread(first) if second in t.present]
        whole = sum(t.square * t.elements / t.finite for t in found)
        if not whole:
            return None
        squares = ((t, t.gram[i][i] - 2 * t.gram[i][j] + t.gram[j][j]) for t in found)
        return math.sqrt(sum(max(g, 0.0) * t.elements / t.finite for t, g in squares) / whole)

    def branch_length(self, first: int, second: int) -> float:
        """How far ``first`` sits from where suspect, ``first`` and ``second`` part: the norm over that of
        the weights, from each matrix as it reads, those in which it lies inside the line counted as 0."""
        i, j = first - 1, second - 1
        found = [t for t in self._spread(first) if second in t.present]
        whole = sum(t.square * t.elements / t.finite for t in found)
        if not whole:
            return 0.0
        own = sum(max(t.gram[i][i] - t.gram[i][j], 0.0) * t.elements / t.finite for t in found)
        return math.sqrt(own / whole)

    @cached_property
    def related(self) -> tuple[int, ...]:
        """Models whose raw weights correlate with the suspect's, nearest first; of models so near to one
        another that distance hardly chooses, first the one of which a matrix was left as it is."""
        near = [(self.distance(i) or 0.0, i) for i in self.others if self.correlation(i) >= RELATED]
        order = [i for _, i in sorted(near)]
        for i in order[1:]:
            apart, distance = self.apart(order[0], i), self.distance(order[0])
            if apart and distance and apart <= NEXT_TO * distance and self.keeps(i, order[0]):
                return (i, *(j for j in order if j != i))
        return tuple(order)

    def keeps(self, model: int, other: int) -> bool:
        """Has the suspect a matrix of ``model`` in every number examined that ``other`` has not, and none
        the other way? What an adapter does not touch stays its origin's."""
        return self._whole(model, other) and not self._whole(other, model)

    def _whole(self, model: int, other: int) -> bool:
        both = (t for t in self.matrices if model in t.present and other in t.present)
        return any(t.equal[model - 1] == t.finite > t.equal[other - 1] for t in both)

    @cached_property
    def all_unrelated(self) -> bool:
        """No model correlates with the suspect, not even in its most alike matrices."""
        return bool(self.others) and all(self.largest_correlation(i) < UNRELATED for i in self.others)

    def triangle(self, first: int, second: int) -> Triangle | None:
        """Branch lengths of suspect, ``first`` and ``second``, over the matrices in which all three
        differ (embeddings left out: the gradient of frequent tokens points alike in all fine-tunes)."""
        rows = [r for t in self.matrices if (r := _branches(t, first, second)) is not None]
        if not rows:
            return None
        suspect = _branch([row[0] for row in rows], _without)
        one, two = (_branch([row[k] for row in rows], _with_or_without) for k in (1, 2))
        along = hartung_knapp([row[3][0] for row in rows], [row[3][1] for row in rows])
        return Triangle(suspect, one, two, len(rows), along)

    def mixture(self, tensor: TensorEvidence, subject: int, pair: tuple[int, int]) -> Mixture | None:
        """One subject's mixture for a pair on a tensor."""
        for m in tensor.mixtures:
            if m.subject == subject and (m.first, m.second) == pair:
                return m
        return None

    @cached_property
    def coded(self) -> dict[str, CodedTensor]:
        """Tensors of codes by name."""
        found = self.evidence.quantized
        return {} if isinstance(found, Absent) else {t.name: t for t in found.tensors}

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

    @cached_property
    def blended(self) -> tuple[int, ...]:
        """Three or more parents whose blend most matrices are that tell them from two; else none."""
        told = [w for w in self._asked if explains_all(w) or not isinstance(w.comparison, Absent)]
        carried = len(self._of_several)
        if 2 * carried <= len(told) or carried < SEVERAL_SHARE * len(self._asked):
            return ()
        if carried == 1 and _of_the_grid_alone(self._of_several[0].comparison):
            return ()
        return self._asked[0].parents

    @property
    def several_needed(self) -> int:
        """Matrices that no blend of two parents is, but one of three or more; none where they are so few
        of many that luck with a grid may have made them."""
        needed = self._of_several
        few = len(needed) < LUCKY_SHARE * len(self._asked)
        return 0 if few and all(_of_the_grid_alone(w.comparison) for w in needed) else len(needed)

    @property
    def over_fewer(self) -> tuple[float, ...]:
        """In matrices that two parents are said to explain: how much more the grid of all explains."""
        return tuple(w.over_fewer for w in self._asked if not isinstance(w.over_fewer, Absent))

    @cached_property
    def _asked(self) -> list[WeightSet]:
        return [w for t in self.matrices for w in t.weights if w.subject == 0 and len(w.parents) > 2]

    @cached_property
    def _of_several(self) -> list[WeightSet]:
        return [w for w in self._asked if explains_all(w) or passes_later_change(w.comparison)]

    def weight_set(self, tensor: TensorEvidence, subject: int) -> WeightSet | None:
        """One subject's weights for the ``blended`` parents on a tensor."""
        for w in tensor.weights:
            if self.blended and w.subject == subject and w.parents == self.blended:
                return w
        return None


def _of_the_grid_alone(tested: SetComparison | Absent) -> bool:
    """Do two of the parents explain the numbers as well, and only the grid asks for more?"""
    if isinstance(tested, Absent) or isinstance(tested.over_pairs, Absent):
        return False
    return tested.over_pairs < MORE_THAN_TWO


Lengths = tuple[tuple[float, float], ...]


def _branches(tensor: TensorEvidence, first: int, second: int) -> Lengths | None:
    """(raw, least) of the three on one matrix; then the way from first to second: (share, variance)."""
    present = first in tensor.present and second in tensor.present
    if not present or tensor.component in ("embedding", "head"):
        return None
    g, i, j = tensor.gram, first - 1, second - 1
    apart = g[i][i] - 2 * g[i][j] + g[j][j]
    if min(g[i][i], g[j][j], apart) <= 1e-12 * max(g[i][i], g[j][j]):
        # Where two of them are one and the same, nothing says which of them the third is nearer to.
        return None
    raw = (g[i][j], g[i][i] - g[i][j], g[j][j] - g[i][j])
    rounding = tensor.rounding or (0.0,) * (max(first, second) + 1)
    shares = tuple(
        (own := _share(raw, raw[k], k), _without_rounding(raw, rounding[m], k, own))
        for k, m in enumerate((0, first, second))
    )
    # Cosines of unrelated deltas: 1/sqrt(n) by chance, and real fine-tunes add .013 (z over 39 matrices of
    # 147,456 elements has a standard deviation of 5).
    variance = (1 / tensor.finite + OWN_COSINE**2) * g[i][i] / apart
    return (*shares, (raw[1] / apart, variance))


def _without_rounding(lengths: Sequence[float], rounding: float, k: int, own: float) -> float:
    """The share less the model's own rounding; for the others than the suspect only where that is a
    correction and not most of the branch."""
    least = _share(lengths, lengths[k] - rounding, k)
    return least if k == 0 or own - least <= CORRECTION else own


def _share(lengths: Sequence[float], own: float, k: int) -> float:
    rest = [x for i, x in enumerate(lengths) if i != k]
    floor = min(rest)
    scale = floor if floor > 0 else max(abs(x) for x in lengths)
    return max(-10.0, min(10.0, own / scale)) if scale > 0 else 0.0


def _branch(shares: Sequence[tuple[float, float]], near: Callable[[float, float], bool]) -> Branch:
    agree = sum(near(raw, least) for raw, least in shares) / len(shares)
    return Branch(median(raw for raw, _ in shares), median(least for _, least in shares), agree)


def _without(raw: float, least: float) -> bool:
    """Is it next to the fork, its own rounding taken off?"""
    return abs(least) <= AT_FORK_ALONE


def _with_or_without(raw: float, least: float) -> bool:
    """Is it next to the fork with some part of its rounding? Models that were trained from it as it is
    stored have none of that, so that what is taken off would put it inside their line."""
    return least <= AT_FORK_ALONE and raw >= -AT_FORK_ALONE
