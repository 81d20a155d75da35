"""Where on the line between two parents a suspect's next tokens fall, and the loss along that line.

Models that descend from one another are linearly connected: along the line between their weights the
loss stays low (Garipov et al. 2018, arXiv 1802.10026; Frankle et al. 2020, arXiv 1912.05671). Both parents
are run here; the suspect need only tell its most probable next tokens. Every model on the line is asked for
the same beginnings, and the one whose tokens are closest to the suspect's tells where a merge would lie. A
model that is no merge has a closest point too: how close it comes, against the ends, is told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.behaviour.distributions import TOP, coarse_divergence, neutral_prompts
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.behaviour.targets import TokenScores
from parentage.errors import UsageError
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import Answers, Line, LinePoint

__all__ = ["WEIGHTS", "closest", "look_along"]

# Weights of the first parent. Finer steps differ by less than 48 beginnings tell.
WEIGHTS = tuple(k / 20 for k in range(21))
RESAMPLES = 2_000


async def look_along(suspect: Answers, first: str, second: str) -> Line | Absent:
    """Run both parents and every blend. Raises what loading raises; ``UsageError`` (``line-not-one``)."""
    if isinstance(suspect.next_tokens, Absent):
        return Absent(f"the suspect tells no next tokens: {suspect.next_tokens.reason}")
    told = {n.prompt: TokenScores(n.tokens, n.logprobs) for n in suspect.next_tokens if n.tokens}
    one, other = TransformersModel(first), TransformersModel(second)
    await one.open()
    await other.open()
    pairs = _paired(one, other, first, second)
    prompts = [(name, text) for name, text in neutral_prompts() if name in told]
    divergences, losses = [], []
    for weight in WEIGHTS:
        _blend(pairs, weight)
        tops = [await one.next_tokens(text, TOP) for _, text in prompts]
        if any(isinstance(t, Absent) for t in tops):
            return Absent("a blend of the parents gives probabilities that are not finite")
        rows = zip(prompts, tops, strict=True)
        divergences.append(
            [coarse_divergence(told[n], t) for (n, _), t in rows if isinstance(t, TokenScores)]
        )
        losses.append(_loss([await one.score(*_split(text)) for _, text in prompts]))
    await one.close()
    await other.close()
    table = np.array(divergences)
    points = tuple(
        LinePoint(w, float(row.mean()), loss) for w, row, loss in zip(WEIGHTS, table, losses, strict=True)
    )
    return Line(first, second, len(prompts), points, closest(table))


def _split(text: str) -> tuple[str, str]:
    """A beginning's first half, and the rest that is scored after it."""
    words = text.split(" ")
    at = len(text) // 2 if len(words) < 2 else len(" ".join(words[: len(words) // 2]))
    return text[:at], text[at:]


def _loss(scores: Sequence[Sequence[float] | Absent]) -> float | Absent:
    """Mean negative log-probability of a token, in nats."""
    known = [s for row in scores if not isinstance(row, Absent) for s in row]
    return -math.fsum(known) / len(known) if known else Absent("no beginning could be scored")


def _paired(one: TransformersModel, other: TransformersModel, first: str, second: str) -> list[Any]:
    """(tensor of the first model, a copy of its own values, the second's), in the order of names."""
    ours, theirs = one.parameters(), other.parameters()
    same = {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}
    if not same:
        raise UsageError(
            "the two parents have different tensors, so that there is no line between them",
            code="line-not-one",
            where=f"{first}, {second}",
            hint="name two models of one architecture and vocabulary",
        )
    return [(ours[n], ours[n].clone(), theirs[n]) for n in sorted(ours)]


def _blend(pairs: Sequence[Any], weight: float) -> None:
    for target, own, other in pairs:
        target.copy_(own * weight + other * (1 - weight))


def closest(divergences: NDArray[np.float64], weights: Sequence[float] = WEIGHTS) -> Estimate:
    """The weight of least mean divergence; its interval from resampling the beginnings (percentile, 95 %).

    ``divergences``: one row a weight of ``weights``, which rise evenly from 0 to 1, one column a beginning,
    nats. The interval is never narrower than one step of the weights to each side.
    """
    rng = np.random.default_rng(0)
    columns = divergences.shape[1]
    drawn = rng.integers(0, columns, (RESAMPLES, columns))
    best = [_least(curve, weights) for curve in divergences[:, drawn].mean(axis=2).T]
    own, step = _least(divergences.mean(axis=1), weights), weights[1]
    low, high = np.quantile(best, (0.025, 0.975))
    return Estimate(own, max(0.0, min(float(low), own - step)), min(1.0, max(float(high), own + step)))


def _least(curve: NDArray[np.float64], weights: Sequence[float]) -> float:
    """The minimum of the parabola through the least point and its neighbours."""
    k = int(np.argmin(curve))
    if k in (0, len(weights) - 1):
        return weights[k]
    before, at, after = (float(v) for v in curve[k - 1 : k + 2])
    bend = before - 2 * at + after
    shift = 0.0 if bend <= 0 else 0.5 * (before - after) / bend
    return weights[k] + shift * weights[1]
