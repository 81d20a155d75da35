"""A place on a line is told where like is compared with like, and where the runtime's doing is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from parentage.behaviour.distributions import neutral_prompts
from parentage.behaviour.interviews import read_interview
from parentage.behaviour.line.looking import Labelled, Points, placed
from parentage.behaviour.line.placing import BEYOND, WEIGHTS
from parentage.behaviour.plan import asking_of
from parentage.behaviour.questions.reading import our_questions
from parentage.behaviour.targets import TokenScores
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import Answers, Line, NextTokens, Respondent
from parentage.reports.interview_html import render_html
from parentage.reports.interview_text import render_text
from parentage.reports.line_words import line_words

Logits = NDArray[np.float64]
NAMES = [name for name, _ in neutral_prompts()]
WORDS = [f" w{k}" for k in range(40)]


class World:
    """Two parents as tables of logits [beginnings, words]; their blends lie on the line between."""

    def __init__(self, seed: int, apart: float = 0.5) -> None:
        self.rng = np.random.default_rng(seed)
        self.second = self.rng.normal(0, 1.5, (len(NAMES), len(WORDS)))
        self.apart = self.rng.normal(0, apart, self.second.shape)

    def blend(self, weight: float) -> Logits:
        return self.second + weight * self.apart

    def noise(self, size: float) -> Logits:
        return self.rng.normal(0, size, self.second.shape)

    def points(self, *, alike: bool) -> Points:
        weights = WEIGHTS if alike else BEYOND
        told: list[list[TokenScores | Absent]] = [list(_told(self.blend(w))) for w in weights]
        return Points("blends of tables", alike, tuple(weights), told, [Absent("none")] * len(weights))


def _told(logits: Logits) -> list[TokenScores]:
    logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return [
        TokenScores(tuple(WORDS[k] for k in order), tuple(float(row[k]) for k in order))
        for row, order in ((r, np.argsort(-r)[:5]) for r in logprobs)
    ]


def _answers(logits: Logits) -> Answers:
    how = asking_of(our_questions(), (), samples=1, seed=0, temperature=1.0, max_tokens=1)
    said = tuple(NextTokens(n, t.tokens, t.logprobs) for n, t in zip(NAMES, _told(logits), strict=True))
    return Answers("t", how, Respondent("x", "endpoint", "x", ()), Absent("none"), (), (), said)


def _ends(first: Logits, second: Logits) -> tuple[Labelled, Labelled]:
    return ("panel-1", _answers(first)), ("panel-2", _answers(second))


def _line(suspect: Logits, points: Points, ends: tuple[Labelled, Labelled] | None = None) -> Line:
    found = placed(_answers(suspect), "a", "b", points, ends)
    assert isinstance(found, Line)
    return found


def _why(line: Line) -> str:
    assert isinstance(line.weight, Absent)
    return line.weight.reason


@pytest.mark.parametrize("share", [0.0, 0.31, 0.57, 1.0])
def test_a_blend_that_is_run_as_the_line_is_placed_with_nothing_left(share: float) -> None:
    world = World(1)
    found = _line(world.blend(share), world.points(alike=True))
    assert isinstance(found.weight, Estimate)
    assert found.weight.low <= share <= found.weight.high
    assert found.weight.estimate == pytest.approx(share, abs=0.02)
    assert isinstance(found.off, float)
    assert found.off < 0.002
    assert "as the suspect is" in " ".join(line_words(found))


@pytest.mark.parametrize("along", [0.0, 0.4])
def test_a_merge_that_was_changed_afterwards_has_a_nearest_blend_and_no_place(along: float) -> None:
    world = World(2)
    changed = world.blend(0.3 + along) + world.noise(0.3)
    found = _line(changed, world.points(alike=True))
    assert "off the line" in _why(found)
    assert found.nearest == pytest.approx(0.3 + along, abs=0.2)
    assert "no place is told" in " ".join(line_words(found))


def test_another_runtime_gives_no_place_unless_the_parents_were_asked_through_it() -> None:
    world = World(3)
    suspect, points = world.blend(0.6) + world.noise(0.02), world.points(alike=False)
    assert "--line-served" in _why(_line(suspect, points))
    ends = _ends(world.blend(1) + world.noise(0.02), world.blend(0) + world.noise(0.02))
    found = _line(suspect, points, ends)
    assert isinstance(found.weight, Estimate)
    assert found.weight.low <= 0.6 <= found.weight.high
    assert [o.weight for o in found.offsets] == [1.0, 0.0]
    assert sum("falls at" in words for words in line_words(found)) == 2


def test_a_runtime_that_moves_everybody_widens_the_interval_by_as_much() -> None:
    """It moves models along the line itself, which no resampling of beginnings tells."""
    world = World(4)
    moved = 0.16 * world.apart
    points = world.points(alike=False)
    ends = _ends(world.blend(1) + moved, world.blend(0) + moved)
    found = _line(world.blend(0.5) + moved, points, ends)
    unmoved = _line(world.blend(0.5) + moved, points, _ends(world.blend(1), world.blend(0)))
    assert isinstance(found.weight, Estimate)
    assert isinstance(unmoved.weight, Estimate)
    assert unmoved.weight.low > 0.5
    assert found.weight.low <= 0.5 <= found.weight.high


def test_intervals_through_another_runtime_cover_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(24):
        world = World(100 + seed)
        share = float(world.rng.uniform(0.05, 0.95))
        ends = _ends(world.blend(1) + world.noise(0.05), world.blend(0) + world.noise(0.05))
        found = _line(world.blend(share) + world.noise(0.05), world.points(alike=False), ends)
        assert isinstance(found.weight, Estimate), found.weight
        covered += found.weight.low <= share <= found.weight.high
    assert stats.binomtest(covered, 24, 0.95, alternative="less").pvalue > 0.01


def test_parents_that_say_the_same_next_have_no_line_to_be_placed_on() -> None:
    world = World(5, apart=0.0)
    assert "nearly the same" in _why(_line(world.blend(0.5), world.points(alike=True)))


def test_beginnings_that_one_blend_tells_nothing_of_are_left_out() -> None:
    world = World(6)
    points = world.points(alike=True)
    points.told[3][5] = Absent("a part of a letter")
    found = _line(world.blend(0.6), points)
    assert found.prompts == len(NAMES) - 1
    assert isinstance(found.weight, Estimate)
    few = replace(points, told=[[Absent("none")] * 40 + row[40:] for row in points.told])
    assert isinstance(placed(_answers(world.blend(0.6)), "a", "b", few, None), Absent)


@pytest.mark.parametrize("placed_", [True, False])
def test_a_page_says_where_on_the_line_or_why_nowhere_and_runs_no_strangers_words(placed_: bool) -> None:
    world, attack = World(7), "<script>alert(1)</script>"
    ends = _ends(world.blend(1), world.blend(0))
    named = (f"panel-1{attack}", ends[0][1]), ends[1]
    line = _line(world.blend(0.4), world.points(alike=False), named if placed_ else None)
    asked = read_interview([("suspect", _answers(world.blend(0.4))), ("panel-1", ends[0][1])])
    made = replace(asked, line=replace(line, first=attack))
    page, text = render_html(made), render_text(made)
    words = (
        "next tokens fall at a weight of 0.40"
        if placed_
        else "no place is told, for the suspect was not run"
    )
    assert words in page
    assert words in text
    assert ("falls at 1.00" in page) == placed_
    assert "<script" not in page
