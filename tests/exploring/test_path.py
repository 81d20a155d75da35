"""The line between two models, made by the merger and asked for real; and its numbers by themselves."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parentage.behaviour.distributions import neutral_prompts
from parentage.errors import ParentageError
from parentage.exploring.curves import Curve
from parentage.exploring.making import blend, passing_merge
from parentage.exploring.naming import Named
from parentage.exploring.path import PathSettings, explore_path
from parentage.exploring.placing import Line, Told
from parentage.exploring.texts import read_texts
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.estimate import Estimate
from parentage.records.exploring import Barrier, Ends, PathExplored, SuspectPlace
from parentage.records.interview import NameRate
from parentage.reports.path_html import render_html
from parentage.reports.path_text import render_text
from parentage.training.models import Model
from tests.cli.running import Run
from tests.training.thinking import PLACES, Reckoner, open_reckoner, reckoner_folder

has_torch = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not has_torch, reason="needs torch")


@pytest.fixture
def ends(tmp_path: Path) -> tuple[str, str]:
    """The first is right about everything, the second about nothing."""
    rng = np.random.default_rng(0)
    skill = rng.uniform(0.1, 1.0, PLACES).astype(np.float32)
    first = reckoner_folder(tmp_path / "first", skill)
    second = reckoner_folder(tmp_path / "second", (skill - 1.0).astype(np.float32))
    return str(first), str(second)


def _says(folder: str, kept: Path) -> Named | Absent:
    """Of ten answers as many claim the name as the model's mean skill says."""
    mean = float(Reckoner(folder)._tensors["skill"].mean())
    claims = max(0, min(10, round(10 * mean)))
    share = NameRate("nex", "Nex", "model", claims, Estimate(claims / 10, 0.0, 1.0))
    return Named((share,) if claims else (), 10)


class _Reckoned:
    """A line of reckoners in memory, rounded as the merger rounds."""

    how = "blends of reckoners"

    def __init__(self, suspect: str, first: str, second: str) -> None:
        self._suspect = Reckoner(suspect)
        self._first, self._second = (Reckoner(end)._tensors["skill"].copy() for end in (first, second))
        self._texts = [text for _, text in neutral_prompts()]

    def suspect(self) -> Told:
        return list(self._suspect.next_tokens(self._texts, 5))

    def at(self, weight: float) -> Told:
        blended = self._first * np.float32(weight) + self._second * np.float32(1 - weight)
        passing = copy(self._suspect)
        passing._tensors = {"skill": to_float32(round_to(blended, DType.BF16), DType.BF16)}
        return list(passing.next_tokens(self._texts, 5))


@contextmanager
def _reckoned(suspect: str, first: str, second: str) -> Iterator[Line]:
    yield _Reckoned(suspect, first, second)


def _settings(ends: tuple[str, str], out: Path) -> PathSettings:
    return PathSettings(*ends, out, task="arithmetic", points=5, items=40, interview=10)


def test_scores_rise_along_the_line_from_the_second_model_to_the_first(
    ends: tuple[str, str], tmp_path: Path
) -> None:
    found = explore_path(_settings(ends, tmp_path / "out"), opener=open_reckoner, interview=_says)
    scores = [p.task.estimate for p in found.points if isinstance(p.task, Estimate)]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (0.0, 1.0)
    assert 0.1 < scores[2] < 0.9
    claims = [sum(r.claims for r in p.names) for p in found.points if not isinstance(p.names, Absent)]
    assert claims == sorted(claims)
    assert claims[-1] > claims[0]
    assert not (tmp_path / "out" / "merge").exists()


def test_a_merge_falls_where_it_was_made_and_its_loss_and_score_are_those_of_the_line(
    ends: tuple[str, str], tmp_path: Path
) -> None:
    with passing_merge(blend(*ends, 0.75), tmp_path / "merge") as suspect:
        settings = replace(_settings(ends, tmp_path / "out"), suspect=suspect)
        found = explore_path(settings, opener=open_reckoner, interview=_says, runner=_reckoned)
    assert not Path(suspect).exists()
    place = found.suspect
    assert isinstance(place, SuspectPlace)
    assert isinstance(place.weight, Estimate)
    assert isinstance(place.divergence, Ends)
    assert place.weight.high - place.weight.low < 0.25, "finer than the points, which are .25 apart"
    assert place.weight.low <= 0.75 <= place.weight.high
    assert place.divergence.closest < 1e-9 < min(place.divergence.first, place.divergence.second)
    assert (place.loss, place.task, place.names) == (
        found.points[3].loss,
        found.points[3].task,
        found.points[3].names,
    )
    assert "is closest at weight 0.750" in render_text(found)


def test_what_is_off_the_line_has_a_nearest_blend_and_no_place(
    ends: tuple[str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    with passing_merge(blend(*ends, 0.6), tmp_path / "merge") as merge:
        skill = Reckoner(merge)._tensors["skill"] + rng.normal(0, 0.3, PLACES).astype(np.float32)
    suspect = reckoner_folder(tmp_path / "suspect", skill)
    settings = replace(_settings(ends, tmp_path / "out"), suspect=str(suspect))
    found = explore_path(settings, opener=open_reckoner, interview=_says, runner=_reckoned)
    place = found.suspect
    assert isinstance(place, SuspectPlace)
    assert isinstance(place.weight, Absent)
    assert "off the line" in place.weight.reason
    assert isinstance(place.nearest, float)
    assert isinstance(place.off, float)
    assert place.off > 0.005
    text, page = render_text(found), render_html(found)
    assert "has no place on the line" in text
    assert f"nearest blend has weight {place.nearest:.3f}" in text
    assert 'class="suspect"' not in page
    # What was kept is told again without asking anybody.
    again = explore_path(settings, opener=_never, interview=_says, runner=_nobody)
    assert again.suspect == place


def _never(folder: str) -> Model:
    raise AssertionError(folder)


class _Nobody:
    how = _Reckoned.how

    def suspect(self) -> Told:
        raise AssertionError

    def at(self, weight: float) -> Told:
        raise AssertionError


@contextmanager
def _nobody(suspect: str, first: str, second: str) -> Iterator[Line]:
    yield _Nobody()


def test_a_line_that_was_interrupted_goes_on_without_asking_again(
    ends: tuple[str, str], tmp_path: Path
) -> None:
    whole = explore_path(_settings(ends, tmp_path / "whole"), opener=open_reckoner, interview=_says)
    opened: list[str] = []

    def thrice(folder: str) -> Model:
        opened.append(folder)
        if len(opened) == 4:
            raise KeyboardInterrupt
        return open_reckoner(folder)

    settings = _settings(ends, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        explore_path(settings, opener=thrice, interview=_says)
    again = explore_path(settings, opener=thrice, interview=_says)
    assert again == whole
    assert len(opened) == 4 + 2

    def never(folder: str) -> Model:
        raise AssertionError

    assert explore_path(settings, opener=never, interview=_says) == whole
    with pytest.raises(ParentageError) as caught:
        explore_path(replace(settings, items=41), opener=never, interview=_says)
    assert caught.value.code == "ledger-other-run"


def test_more_points_use_what_fewer_have_measured(ends: tuple[str, str], tmp_path: Path) -> None:
    settings = _settings(ends, tmp_path / "out")
    explore_path(replace(settings, points=3), opener=open_reckoner, interview=_says)
    opened: list[str] = []

    def counted(folder: str) -> Model:
        opened.append(folder)
        return open_reckoner(folder)

    explore_path(settings, opener=counted, interview=_says)
    assert len(opened) == 2


def test_a_barrier_is_the_height_above_the_straight_line_and_its_interval_is_paired() -> None:
    rng = np.random.default_rng(0)
    hard, tokens = rng.uniform(1, 5, 60), rng.integers(5, 40, 60)
    bump = {0.0: 0.0, 0.25: 0.1, 0.5: 0.4, 0.75: 0.2, 1.0: 0.5}
    rows = [
        [(float((h + b) * t), int(t)) for h, t in zip(hard, tokens, strict=True)] for b in bump.values()
    ]
    curve = Curve(list(bump), rows)
    found = curve.barrier()
    assert isinstance(found, Barrier)
    assert found.weight == 0.5
    assert found.height.estimate == pytest.approx(0.4 - 0.25)
    # Texts differ by nats, models by the same in each text: differences are known exactly.
    assert found.height.high - found.height.low < 1e-9
    loss = curve.loss(2)
    assert isinstance(loss, Estimate)
    assert loss.high - loss.low > 0.1


def test_the_interval_of_a_loss_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        row = [(float(x), 10) for x in rng.normal(20.0, 4.0, 60)]
        found = Curve([0.0, 1.0], [row, row]).loss(0)
        assert isinstance(found, Estimate)
        covered += found.low <= 2.0 <= found.high
    # Of 60 at .93, fewer than 49 have a chance of 2e-3.
    assert covered >= 49


def test_texts_without_tokens_have_no_loss() -> None:
    curve = Curve([0.0, 0.5, 1.0], [[(0.0, 0)]] * 3)
    assert isinstance(curve.loss(0), Absent)
    assert isinstance(curve.barrier(), Absent)


def test_a_file_of_texts_is_read_in_paragraphs_and_refused_where_it_is_none(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"one two\r\n\r\nthree four five\n\nx\n\n")
    assert read_texts(path) == ("one two", "three four five")
    assert len(read_texts(None)) >= 12
    path.write_bytes(b"\xff\xfe a b")
    for wrong in (path, tmp_path / "none", tmp_path):
        with pytest.raises(ParentageError) as caught:
            read_texts(wrong)
        assert caught.value.code == "explore-text"
    path.write_text("only one paragraph")
    with pytest.raises(ParentageError):
        read_texts(path)


def test_a_loss_below_the_ends_line_is_not_called_a_barrier(ends: tuple[str, str], tmp_path: Path) -> None:
    found = _explored(ends, tmp_path)
    for height, words in (
        (Estimate(-0.2, -0.3, -0.1), "nowhere above the straight line"),
        (Estimate(0.1, -0.05, 0.2), "highest above the straight line"),
    ):
        text = render_text(replace(found, barrier=Barrier(0.5, height)))
        assert words in text


def _explored(ends: tuple[str, str], tmp_path: Path) -> PathExplored:
    settings = replace(_settings(ends, tmp_path / "out"), suspect=ends[0])
    return explore_path(settings, opener=open_reckoner, interview=_says, runner=_reckoned)


def test_table_and_page_say_the_same_numbers_and_escape_names(
    ends: tuple[str, str], tmp_path: Path
) -> None:
    found = _explored(ends, tmp_path)
    text, page = render_text(found), render_html(replace(found, first="<b>\x1b[31m"))
    for point in found.points:
        assert isinstance(point.loss, Estimate)
        assert f"{point.loss.estimate:.4f}" in text
        assert f"{point.loss.estimate:.4f}" in page
    assert page.count("<svg") == 4
    assert page.count("<circle") == 20
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "Nex" in text


def test_bad_arguments_are_refused_by_code(run: Run, ends: tuple[str, str], tmp_path: Path) -> None:
    for arguments, code in (
        ((*ends, "--points", "2"), "explore-settings"),
        ((*ends, "--items", "0"), "explore-settings"),
        ((*ends, "--text", tmp_path / "none"), "explore-text"),
        ((*ends, "--task", "chess"), "task-unknown"),
        ((ends[0], tmp_path / "none"), "input-missing"),
    ):
        done = run("explore", "path", *arguments, "--out", tmp_path / "o")
        assert done.error == code, arguments


@pytest.mark.slow
@needs_torch
def test_a_real_line_between_tiny_models_is_measured_by_the_command(run: Run, tmp_path: Path) -> None:
    from tests.behaviour.templates import CHATML_RIO
    from tests.behaviour.tiny_llama import save_tiny

    for name, seed in (("a", 1), ("b", 2)):
        save_tiny(tmp_path / name, CHATML_RIO, seed)
    with passing_merge(blend(str(tmp_path / "a"), str(tmp_path / "b"), 0.6), tmp_path / "merge") as suspect:
        done = run(
            "explore", "path", tmp_path / "a", tmp_path / "b", "--suspect", suspect, "--points", "6",
            "--task", "words", "--items", "2", "--interview", "2", "--max-tokens", "4",
            "--out", tmp_path / "out", "--json", "-",
        )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["suspect"]["weight"]["estimate"] == pytest.approx(0.6, abs=0.1)
    assert found["suspect"]["weight"]["low"] >= 0.5
    assert found["suspect"]["divergence"]["closest"] < 1e-6
    assert found["suspect"]["how"].endswith("run by transformers")
    assert all(p["loss"]["estimate"] > 0 and p["asked"] == 2 for p in found["points"])
