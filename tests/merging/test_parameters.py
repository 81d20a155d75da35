"""Parameters: filters, gradients and precedence come to the numbers that mergekit's own planner gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage.errors import RecipeError
from parentage.merging.merge import open_models
from parentage.merging.parameters import evaluate
from parentage.merging.plan import make_plan
from parentage.merging.recipe_reading import recipe_from_text
from parentage.methods.parameters import Declared
from parentage.records.recipe import Clause, Setting
from tests.merging.models import write_model
from tests.worlds.fixtures import FOLDER

PLANS = json.loads((FOLDER / "recipes" / "plans.json").read_text())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three Llamas of five layers whose tensors hold one number each."""
    folder = tmp_path_factory.mktemp("planned")
    names = [t["name"] for t in PLANS["recipes"]["gradient and filters"]["tensors"]]
    assert len(names) > 9 * PLANS["layers"]
    for seed, model in enumerate("abc", 1):
        write_model(folder / model, {n: np.full((1,), seed, np.float32) for n in names})
    return folder


@pytest.mark.parametrize("title", list(PLANS["recipes"]))
def test_every_parameter_of_every_tensor_is_mergekits(
    title: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)
    theirs = {t["name"]: t for t in PLANS["recipes"][title]["tensors"]}
    recipe = recipe_from_text(PLANS["recipes"][title]["recipe"])
    with open_models(recipe) as opened:
        plan = make_plan(recipe, opened, profile="mergekit-0.1.5")
        assert {t.name for t in plan.tensors} == set(theirs)
        for tensor in plan.tensors:
            expected, parameters = theirs[tensor.name], tensor.parameters
            parts = tensor.operands.parts
            sources = [[str(m), p.tensor.name] for m, p in zip(tensor.models, parts, strict=True)]
            assert sources == expected["sources"]
            assert parameters is not None
            assert _known(parameters.shared, expected["shared"])
            assert [dict(p) for p in parameters.per_model] == expected["each"], tensor.name
            if expected["base"] is not None:
                assert tensor.operands.base is not None
                assert str(tensor.models[tensor.operands.base]) == expected["base"]


def _known(ours: Any, theirs: dict[str, Any]) -> bool:
    """Equal where both have the parameter; mergekit's int8_mask moves no weight."""
    return all(theirs[name] == value for name, value in ours.items() if name in theirs) and set(
        theirs
    ) - set(ours) <= {"int8_mask"}


NUMBER = Declared("x", "a number", default=0.0)
SWITCH = Declared("s", "a switch", kind="switch", default=False)
COUNT = Declared("n", "a count", kind="count", default=1)


def setting(value: Any) -> Setting:
    """One clause for all."""
    return Setting((Clause(value),))


def test_a_gradient_is_linear_between_its_numbers() -> None:
    values = [evaluate(setting((0, 1, 0.5)), NUMBER, "w", t) for t in (0, 0.25, 0.5, 0.75, 1)]
    assert values == [0.0, 0.5, 1.0, 0.75, 0.5]
    assert evaluate(setting((0.3,)), NUMBER, "w", 1.0) == 0.3


def test_switches_step_along_a_gradient() -> None:
    assert [evaluate(setting((True, False)), SWITCH, "w", t) for t in (0, 0.9, 1)] == [True, True, False]


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    assert evaluate(setting("1e-3"), NUMBER, "w", 0) == 0.001
    assert evaluate(setting("3"), COUNT, "w", 0) == 3


def test_no_fitting_filter_leaves_the_parameter_to_the_next_scope() -> None:
    chosen = Setting((Clause(1, "mlp"), Clause(2, "*")))
    assert evaluate(chosen, NUMBER, "x.mlp.y", 0) == 1
    assert evaluate(chosen, NUMBER, "other", 0) == 2
    assert evaluate(Setting((Clause(1, "mlp"),)), NUMBER, "other", 0) is None


@pytest.mark.parametrize(
    ("value", "declared"), [("much", NUMBER), (2.5, COUNT), ("nan", NUMBER), ("maybe", SWITCH), (3, SWITCH)]
)
def test_a_value_of_another_kind_is_refused_by_its_line(value: Any, declared: Declared) -> None:
    with pytest.raises(RecipeError) as raised:
        evaluate(Setting((Clause(value),), 7), declared, "w", 0)
    assert (raised.value.code, raised.value.where) == ("recipe-parameter", "line 7")
