"""A search of recipes, over merges that are really made; what it may spend, what it says of its luck."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parentage.api.exploring import load_search
from parentage.errors import ParentageError
from parentage.exploring.search import SearchSettings, explore_search
from parentage.exploring.space import Candidate, Space, read_space, space_from_text
from parentage.exploring.strategies import Budget, cma_es, halving, thompson
from parentage.merging.merge import MergeOptions, write_merge
from parentage.merging.recipe_reading import read_recipe
from parentage.records.searching import RecipeSearch
from parentage.reports.search_text import render_text
from parentage.training.models import Model
from tests.cli.running import Run
from tests.training.thinking import PLACES, Reckoner, open_reckoner, reckoner_folder

has_cma = importlib.util.find_spec("cma") is not None
TEXT = """\
# found by nobody
merge_method: linear
parameters: {{normalize: false}}
models:
  - model: {first}
    parameters: {{weight: {{low: 0, high: 1}}}}  # the first's share
  - model: {second}
    parameters: {{weight: {{low: -0.5, high: 1}}}}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """The first is right about two thirds, the second about other things; sums of both about more."""
    rng = np.random.default_rng(0)
    first = rng.normal(0.3, 0.6, PLACES).astype(np.float32)
    second = rng.normal(0.1, 0.6, PLACES).astype(np.float32)
    places = {
        "first": str(reckoner_folder(tmp_path / "first", first)),
        "second": str(reckoner_folder(tmp_path / "second", second)),
    }
    path = tmp_path / "space.yaml"
    path.write_text(TEXT.format(**places))
    return path


def _settings(space: Path, out: Path) -> SearchSettings:
    return SearchSettings(space, "task:arithmetic", 120, out, held_out=60)


NAMED = [
    "halving",
    pytest.param("thompson", marks=pytest.mark.slow),
    pytest.param("cma-es", marks=pytest.mark.skipif(not has_cma, reason="needs the extra search")),
]


@pytest.mark.parametrize("strategy", NAMED)
def test_what_is_chosen_is_scored_as_the_recipe_that_is_written(
    space: Path, tmp_path: Path, strategy: str
) -> None:
    settings = replace(_settings(space, tmp_path / "out"), strategy=strategy, problems=12)
    found = explore_search(settings, opener=open_reckoner)
    assert 0 < found.spent <= 120
    assert sum(t.asked for t in found.tried) == found.spent
    recipe = tmp_path / "out" / "best.yaml"
    assert recipe.read_text() == found.chosen.recipe
    assert "# the first's share" in found.chosen.recipe
    write_merge(read_recipe(recipe), tmp_path / "again", MergeOptions(digests=False), lambda *_: None)
    assert _held_out_score(tmp_path / "again") == found.chosen.held_out.score.estimate
    gap = found.chosen.tuned.estimate - found.chosen.held_out.score.estimate
    assert found.chosen.over_fitted.estimate == pytest.approx(gap)
    for parent in found.parents:
        assert _held_out_score(Path(parent.model)) == parent.held_out.estimate


def _held_out_score(folder: Path) -> float:
    from parentage.training.problems import HELD_OUT
    from parentage.training.tasks import open_task

    task = open_task("arithmetic")
    items = task.items(HELD_OUT, 60, 0)
    texts = Reckoner(str(folder)).answers([i.messages for i in items], 8)
    return sum(task.score(i, t) for i, t in zip(items, texts, strict=True)) / 60


def test_a_search_that_was_interrupted_goes_on_to_the_same_end(space: Path, tmp_path: Path) -> None:
    whole = explore_search(_settings(space, tmp_path / "whole"), opener=open_reckoner)
    opened: list[str] = []

    def sixth(folder: str) -> Model:
        opened.append(folder)
        if len(opened) == 6:
            raise KeyboardInterrupt
        return open_reckoner(folder)

    settings = _settings(space, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        explore_search(settings, opener=sixth)
    assert explore_search(settings, opener=sixth) == whole
    # 8 + 4 + 2 evaluations, the chosen and two parents held out; one was begun twice.
    assert len(opened) == 8 + 4 + 2 + 3 + 1
    other = space.with_name("other.yaml")
    other.write_text(space.read_text().replace("high: 1", "high: 2"))
    with pytest.raises(ParentageError) as caught:
        explore_search(replace(settings, space=other), opener=open_reckoner)
    assert caught.value.code == "ledger-other-run"


def _fake(space: Space, truth: float) -> tuple[list[int], object]:
    """Scores of a candidate whose chance of a right answer falls with its distance from ``truth``."""
    asked: list[int] = []

    def score(candidate: Candidate, first: int, count: int) -> Sequence[float]:
        asked.append(count)
        away = sum(abs(float(v) - truth) for v in candidate.values.values()) / len(candidate.values)
        rng = np.random.default_rng([int(candidate.digest[:8], 16), first])
        return [float(x) for x in rng.random(count) < max(0.02, 0.95 - 2.5 * away)]

    return asked, score


STRATEGIES = [
    pytest.param(halving, id="halving"),
    pytest.param(thompson, id="thompson"),
    pytest.param(cma_es, id="cma", marks=pytest.mark.skipif(not has_cma, reason="needs cma")),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_spends_more_than_its_budget_and_each_beats_a_blind_draw(strategy: object) -> None:
    space = space_from_text(TEXT.format(first="a", second="b").replace("low: -0.5", "low: 0"), "space")
    away, blind = [], []
    for seed in range(8):
        asked, score = _fake(space, 0.7)
        tried, best = strategy(space, Budget(400, 16, 20, seed), score)  # type: ignore[operator]
        assert sum(asked) <= 400
        assert sum(len(t.scores) for t in tried) == sum(asked)
        away.append(sum(abs(float(v) - 0.7) for v in best.candidate.values.values()))
        drawn = space.drawn(16, seed)[0].values.values()
        blind.append(sum(abs(float(v) - 0.7) for v in drawn))
    assert np.mean(away) < 0.5 * np.mean(blind)


def test_the_gap_shows_over_fitting_where_all_recipes_are_equally_good() -> None:
    """Of arms that are all right half of the time the best looks better than it is."""
    from parentage.training.scores import gap, rate

    space = space_from_text(TEXT.format(first="a", second="b"), "space")
    gaps = []
    for seed in range(30):
        rng = np.random.default_rng(seed)

        def score(c: Candidate, first: int, count: int, rng: np.random.Generator = rng) -> list[float]:
            return [float(x) for x in rng.random(count) < 0.5]

        _, best = halving(space, Budget(160, 16, 1, seed), score)
        fresh = [float(x) for x in rng.random(60) < 0.5]
        gaps.append(gap(rate(best.scores), rate(fresh)).estimate)
    assert np.mean(gaps) > 3 * np.std(gaps) / np.sqrt(30)


def test_ranges_are_put_into_the_files_own_text_and_an_alias_is_one_place() -> None:
    text = (
        "merge_method: {choices: [linear, 'linear']}\nmodels:\n  - model: a\n    parameters:\n"
        "      weight: &w {low: 0.1, high: 0.3}\n  - model: b\n    parameters: {weight: *w}\n"
    )
    space = space_from_text(text, "x")
    assert [k.name for k in space.knobs] == ["merge_method", "models.0.parameters.weight"]
    one = space.candidate([0.9, 1.0])
    assert one.text.count("0.3") == 1
    assert one.recipe.models[0].parameters == one.recipe.models[1].parameters
    assert one.values == {"merge_method": "linear", "models.0.parameters.weight": 0.3}
    assert len({c.digest for c in space.drawn(20, 0)}) == 20


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("{low: 0, high: 1}", "0.5", "{low: -0.5, high: 1}", "0.5"), "space-knobs"),
        (("{low: 0, high: 1}", "{low: 1, high: 0}"), "space-knobs"),
        (("{low: 0, high: 1}", "{low: 0}"), "space-knobs"),
        (("{low: 0, high: 1}", "{low: a, high: 1}"), "space-knobs"),
        (("{low: 0, high: 1}", "{choices: []}"), "space-knobs"),
        (("{low: 0, high: 1}", "{low: 0, high: .inf}"), "recipe-not-finite"),
        (("models:", "modles:"), "recipe-unknown-key"),
    ],
)
def test_a_space_that_is_none_is_refused_by_code(space: Path, change: tuple[str, ...], code: str) -> None:
    text = space.read_text()
    for old, new in zip(change[::2], change[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    space.write_text(text)
    with pytest.raises(ParentageError) as caught:
        read_space(space)
    assert caught.value.code == code


def test_bad_arguments_are_refused_by_code(run: Run, space: Path, tmp_path: Path) -> None:
    common = ("--objective", "arithmetic", "--out", tmp_path / "o")
    alchemy = space.with_name("alchemy.yaml")
    alchemy.write_text(space.read_text().replace("linear", "{choices: [linear, alchemy]}"))
    for arguments, code in (
        ((space, *common, "--budget", "9"), "explore-settings"),
        ((space, *common, "--budget", "7", "--strategy", "thompson"), "explore-settings"),
        ((space, *common, "--budget", "90", "--strategy", "luck"), "explore-settings"),
        ((space, "--objective", "chess", "--budget", "90", "--out", tmp_path / "o"), "task-unknown"),
        ((alchemy, *common, "--budget", "90"), "recipe-method"),
        ((tmp_path / "none.yaml", *common, "--budget", "90"), "input-missing"),
    ):
        done = run("explore", "search", *arguments)
        assert done.error == code, arguments


@pytest.mark.skipif(has_cma, reason="the extra is there")
def test_without_the_library_one_error_says_what_to_install(space: Path, tmp_path: Path) -> None:
    with pytest.raises(ParentageError) as caught:
        explore_search(replace(_settings(space, tmp_path / "o"), strategy="cma-es"), opener=open_reckoner)
    assert caught.value.code == "search-missing"


def test_choices_are_not_searched_by_cma_es() -> None:
    space = space_from_text(
        TEXT.format(first="a", second="b").replace("linear", "{choices: [linear]}"), "x"
    )
    with pytest.raises(ParentageError) as caught:
        cma_es(space, Budget(100, 1, 1, 0), lambda *_: [1.0])
    assert caught.value.code == "explore-settings"


def test_what_is_printed_says_the_gap_and_the_best_parent(space: Path, tmp_path: Path) -> None:
    found: RecipeSearch = explore_search(_settings(space, tmp_path / "out"), opener=open_reckoner)
    text = render_text(found, "out")
    assert sum(line.startswith("* ") for line in text.splitlines()) == 1
    assert "Over-fitting" in text
    assert Path(found.chosen.best_parent).name in text
    assert load_search(tmp_path / "out" / "search.json") == found
