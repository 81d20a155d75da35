"""How a budget of answers is spent on candidates: successive halving, Thompson sampling, CMA-ES.

A strategy asks ``score(candidate, first, count)``, the scores of one candidate on problems ``first`` to
``first + count`` of one list that is the same for all, and never asks for more answers than the budget.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from parentage.errors import UsageError
from parentage.exploring.space import Candidate, Space

__all__ = ["STRATEGIES", "Budget", "Tried", "cma_es", "halving", "thompson"]

# Answers of one pull of an arm: a model must be made for each.
PULL: Final = 8
# A generation of CMA-ES needs at least as many points.
LEAST_POPULATION: Final = 4
Score = Callable[[Candidate, int, int], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Budget:
    """``answers``: to tuned problems, in all; ``candidates``: recipes that are drawn; ``problems``: of one
    evaluation by CMA-ES."""

    answers: int
    candidates: int
    problems: int
    seed: int


@dataclass(slots=True)
class Tried:
    """A candidate and its scores so far, in the problems' order."""

    candidate: Candidate
    scores: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Of its scores; below all others where there are none."""
        return math.fsum(self.scores) / len(self.scores) if self.scores else -1.0

    def ask(self, score: Score, count: int) -> None:
        """The next ``count`` problems."""
        self.scores += score(self.candidate, len(self.scores), count)


def halving(space: Space, budget: Budget, score: Score) -> tuple[list[Tried], Tried]:
    """Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943): equal budgets a round, in which
    each candidate left is asked equally many further problems; the better half goes on.

    All tried, and the one left. Raises ``UsageError`` (``explore-settings``).
    """
    tried = [Tried(c) for c in space.drawn(budget.candidates, budget.seed)]
    left, rounds = list(tried), max(1, math.ceil(math.log2(len(tried))))
    if budget.answers < rounds * len(tried):
        raise _too_small(budget, rounds * len(tried))
    for _ in range(rounds):
        for one in left:
            one.ask(score, budget.answers // rounds // len(left))
        # Stable: of equal scores the one that was drawn first.
        left = sorted(left, key=lambda t: -t.mean)[: max(1, math.ceil(len(left) / 2))]
    return tried, left[0]


def thompson(space: Space, budget: Budget, score: Score) -> tuple[list[Tried], Tried]:
    """Thompson sampling (1933) with Beta(1 + right, 1 + wrong): each pull goes to the arm whose drawn share
    is highest. The arm of the highest posterior mean is the best.

    Raises ``UsageError`` (``explore-settings``).
    """
    tried = [Tried(c) for c in space.drawn(budget.candidates, budget.seed)]
    if budget.answers < PULL:
        raise _too_small(budget, PULL)
    rng = np.random.default_rng(budget.seed)
    for _ in range(budget.answers // PULL):
        right = np.array([math.fsum(t.scores) for t in tried])
        wrong = np.array([float(len(t.scores)) for t in tried]) - right
        tried[int(rng.beta(1 + right, 1 + wrong).argmax())].ask(score, PULL)
    best = max(tried, key=lambda t: (1 + math.fsum(t.scores)) / (2 + len(t.scores)))
    return tried, best


def cma_es(space: Space, budget: Budget, score: Score) -> tuple[list[Tried], Tried]:
    """CMA-ES (Hansen 2016, arXiv 1604.00772; the library ``cma``) in the unit cube, from its middle.

    Each point is asked the same ``problems``. The best is the first of the highest score. Raises
    ``UsageError``: ``explore-settings`` (choices, one range alone, a budget below a generation),
    ``search-missing`` without the library.
    """
    if len(space.knobs) < 2 or not all(k.continuous for k in space.knobs):
        raise UsageError(
            "CMA-ES searches two ranges of numbers or more, and no choices",
            code="explore-settings",
            where=space.where,
            hint="--strategy halving, or fix the choices",
        )
    cma = _cma()
    population = max(LEAST_POPULATION, 4 + int(3 * math.log(len(space.knobs))))
    if budget.answers < population * budget.problems:
        raise _too_small(budget, population * budget.problems)
    # 0 would be a seed from the clock.
    options = {"bounds": [0, 1], "seed": budget.seed + 1, "popsize": population, "verbose": -9}
    search = cma.CMAEvolutionStrategy([0.5] * len(space.knobs), 0.25, options)
    tried: dict[str, Tried] = {}
    for _ in range(budget.answers // (population * budget.problems)):
        points = search.ask()
        losses = [1.0 - _evaluated(space, point, tried, budget, score) for point in points]
        search.tell(points, losses)
        if search.stop():
            break
    found = list(tried.values())
    return found, max(found, key=lambda t: t.mean)


def _evaluated(
    space: Space, point: Sequence[float], tried: dict[str, Tried], budget: Budget, score: Score
) -> float:
    candidate = space.candidate([min(1.0, max(0.0, float(x))) for x in point])
    one = tried.setdefault(candidate.digest, Tried(candidate))
    if not one.scores:
        one.ask(score, budget.problems)
    return one.mean


def _cma() -> Any:
    try:
        with warnings.catch_warnings():
            # That it cannot plot is of no use to anyone here.
            warnings.simplefilter("ignore")
            import cma
    except ImportError as error:
        raise UsageError(
            f"CMA-ES needs the extra search: {error}",
            code="search-missing",
            hint="pip install 'parentage[search]', or --strategy halving",
        ) from None
    return cma


def _too_small(budget: Budget, least: int) -> UsageError:
    return UsageError(
        f"a budget of {budget.answers} answers is too small: {least} or more are needed here",
        code="explore-settings",
        hint="a larger --budget, or fewer --candidates",
    )


Strategy = Callable[[Space, Budget, Score], tuple[list[Tried], Tried]]
STRATEGIES: Final[Mapping[str, Strategy]] = {"halving": halving, "thompson": thompson, "cma-es": cma_es}
