"""Where on the line between two parents a suspect's next tokens fall, and the loss along that line.

Models that descend from one another are linearly connected: along the line between their weights the
loss stays low (Garipov et al. 2018, arXiv 1802.10026; Frankle et al. 2020, arXiv 1912.05671). Both parents
are run here; the suspect need only tell its most probable next tokens. Every model on the line is asked for
the same beginnings, and the one whose tokens are closest to the suspect's tells where a merge would lie.

Like is compared with like: points of the line are stored and run as the suspect is, where it is run here.
Where it is not, the parents must have been asked as it was: how far from their own ends they fall is the
runtime's doing and widens the interval. A suspect that is off the line has a nearest point and no place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.behaviour.distributions import LEAST_PROMPTS, coarse_divergence, neutral_prompts, told_by
from parentage.behaviour.line.blends import Blends, Told, stored_dtype
from parentage.behaviour.line.gguf_blends import GgufBlends
from parentage.behaviour.line.placing import BEYOND, WEIGHTS, judged, place
from parentage.behaviour.targets import TokenScores
from parentage.errors import UsageError
from parentage.records.absence import Absent
from parentage.records.interview import Answers, Line, LineOffset, LinePoint

__all__ = ["Labelled", "Points", "fallen", "look_along", "placed", "points_for"]

Labelled = tuple[str, Answers]


@dataclass(frozen=True, slots=True)
class Points:
    """What every point of the line says next, and its loss. ``alike``: run and stored as the suspect."""

    how: str
    alike: bool
    weights: tuple[float, ...]
    told: list[Told]
    losses: list[float | Absent]


async def look_along(
    suspect: Answers, first: str, second: str, served: tuple[Labelled, Labelled] | None = None
) -> Line | Absent:
    """Run both parents and every blend.

    ``served``: both parents' labels and answers, asked as the suspect was. Raises what loading raises;
    ``UsageError`` (``line-not-one``).
    """
    if isinstance(suspect.next_tokens, Absent):
        return Absent(f"the suspect tells no next tokens: {suspect.next_tokens.reason}")
    points = await points_for(suspect, first, second, beyond=served is not None)
    return placed(suspect, first, second, points, served)


async def points_for(suspect: Answers, first: str, second: str, *, beyond: bool = False) -> Points:
    """The line, stored and run as the suspect where that can be done here, and on ``beyond`` both ends
    where not."""
    who, why = suspect.respondent, ""
    if who.kind == "gguf" and os.path.isfile(who.locator):
        blends = GgufBlends(who.locator, first, second)
        try:
            barred = await blends.open()
            if barred is None:
                return await _as_file(blends, first, second)
            why = f", for no copies of the suspect's file could be made: {barred.reason}"
        finally:
            await blends.close()
    alike = who.kind == "transformers"
    dtype = stored_dtype(who.locator if alike and os.path.isdir(who.locator) else first)
    weights = BEYOND if beyond and not alike else WEIGHTS
    found = await _in_memory(Blends(first, second, dtype), weights, alike)
    return replace(found, how=found.how + why)


def placed(
    suspect: Answers, first: str, second: str, points: Points, served: tuple[Labelled, Labelled] | None
) -> Line | Absent:
    """Where on a line that was run the suspect falls; asks nobody."""
    return fallen(told_by(suspect), first, second, points, served)


def fallen(
    told: Mapping[str, TokenScores],
    first: str,
    second: str,
    points: Points,
    served: tuple[Labelled, Labelled] | None = None,
) -> Line | Absent:
    """As :func:`placed`, of what the suspect says next after each beginning, by its id."""
    own = _table(told, points)
    if own.shape[1] < LEAST_PROMPTS:
        return Absent(f"{own.shape[1]} beginnings were told by the suspect and by every blend, too few")
    found, width = place(own, points.weights), _between(points, 1.0, 0.0)
    floor = _floor(points, int(np.argmin(own.mean(axis=1))))
    offsets = () if served is None or points.alike else _offsets(served, points)
    shown = zip(points.weights, own.mean(axis=1), points.losses, strict=True)
    return Line(
        first=first,
        second=second,
        prompts=own.shape[1],
        points=tuple(LinePoint(w, float(d), loss) for w, d, loss in shown if 0 <= w <= 1),
        weight=judged(found, width, floor, offsets, alike=points.alike),
        how=points.how,
        alike=points.alike,
        nearest=found.weight.estimate,
        off=found.divergence / width if width > 0 else Absent("the parents say the same next"),
        offsets=offsets,
    )


async def _in_memory(blends: Blends, weights: Sequence[float], alike: bool) -> Points:
    texts = [text for _, text in neutral_prompts()]
    try:
        await blends.open()
        found = [await blends.at(w, texts) for w in weights]
    finally:
        await blends.close()
    told, losses = zip(*found, strict=True)
    return Points(blends.how, alike, tuple(weights), list(told), list(losses))


async def _as_file(blends: GgufBlends, first: str, second: str) -> Points:
    """Next tokens from copies of the suspect's file; the loss of the same blends in memory, where
    transformers is there."""
    texts = [text for _, text in neutral_prompts()]
    told = [await blends.at(w, texts) for w in WEIGHTS]
    try:
        losses = (await _in_memory(Blends(first, second, stored_dtype(first)), WEIGHTS, False)).losses
    except UsageError as error:
        if error.code != "runtime-missing":
            raise
        losses = [Absent(error.message)] * len(WEIGHTS)
    return Points(blends.how, True, WEIGHTS, told, losses)


def _everywhere(points: Points) -> dict[int, list[TokenScores]]:
    """By the number of a beginning what every point told, where all told something: llama.cpp's server
    tells nothing where the next token is a part of a letter."""
    rows = zip(*points.told, strict=True)
    whole = {k: [t for t in row if not isinstance(t, Absent)] for k, row in enumerate(rows)}
    return {k: row for k, row in whole.items() if len(row) == len(points.weights)}


def _table(own: Mapping[str, TokenScores], points: Points) -> NDArray[np.float64]:
    """Divergence of who told from every point [weights, beginnings that all told]."""
    line = _everywhere(points)
    names = [name for name, _ in neutral_prompts()]
    columns = [
        [coarse_divergence(own[names[k]], t) for t in row] for k, row in line.items() if names[k] in own
    ]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(points.weights)).T


def _floor(points: Points, nearest: int) -> float:
    """How far the nearest point is from the nearer of its neighbours, nats: roundings to few bits, and what
    follows of them, make two blends as unlike that are next to each other."""
    beside = [k for k in (nearest - 1, nearest + 1) if 0 <= k < len(points.weights)]
    return min(_between(points, points.weights[nearest], points.weights[k]) for k in beside)


def _between(points: Points, one: float, other: float) -> float:
    """How far apart next tokens of two points are: the mean of both divergences, nats."""
    first, second = (points.weights.index(w) for w in (one, other))
    apart = [
        coarse_divergence(row[a], row[b])
        for row in _everywhere(points).values()
        for a, b in ((first, second), (second, first))
    ]
    return float(np.mean(apart)) if apart else 0.0


def _offsets(served: tuple[Labelled, Labelled], points: Points) -> tuple[LineOffset, ...]:
    found: list[LineOffset] = []
    for (label, answers), own in zip(served, (1.0, 0.0), strict=True):
        table = _table(told_by(answers), points)
        if table.shape[1]:
            at = place(table, points.weights)
            found.append(LineOffset(label, own, at.weight, at.divergence))
    return tuple(found)
