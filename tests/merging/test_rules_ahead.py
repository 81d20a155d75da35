"""Rules whose passes run ahead are those of the tensors that they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage.errors import UsageError
from parentage.merging import rules_ahead
from parentage.merging.inputs import open_models
from parentage.merging.plan import make_plan
from parentage.merging.recipe_reading import read_recipe
from parentage.merging.rules_ahead import RulesAhead, prepared
from parentage.merging.run import Job, made
from tests.merging.models import llama, recipe_file, write_model


def ties(tmp_path: Path, density: float = 0.4) -> Path:
    """TIES of two small models over a base."""
    for seed, name in enumerate("oab"):
        write_model(tmp_path / name, llama(seed))
    models = [
        {"model": str(tmp_path / name), "parameters": {"weight": 0.5, "density": density}} for name in "ab"
    ]
    return recipe_file(
        tmp_path, {"merge_method": "ties", "base_model": str(tmp_path / "o"), "models": models}
    )


@pytest.mark.parametrize("most", [1, rules_ahead.MOST])
def test_every_second_tensor_gets_its_own_rule(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_ahead, "MOST", most)
    recipe = read_recipe(ties(tmp_path))
    with open_models(recipe) as opened:
        plan = make_plan(recipe, opened, profile=None, seed=None)
        wanted = plan.tensors[1::2]
        with RulesAhead(plan.tensors) as rules:
            for tensor, rule in rules.of(wanted):
                job = Job(tensor.operands, rule, tensor.dtype, 0, tensor.operands.elements, 0)
                alone = Job(tensor.operands, prepared(tensor), tensor.dtype, 0, tensor.operands.elements, 0)
                np.testing.assert_array_equal(made(job), made(alone))


def test_what_a_rule_refuses_is_raised_at_its_tensor_and_not_before(tmp_path: Path) -> None:
    recipe = read_recipe(ties(tmp_path, density=0.05))
    with open_models(recipe) as opened:
        # Of a norm's eight numbers, .05 is none, where mergekit 0.1.4 stops.
        plan = make_plan(recipe, opened, profile="mergekit-0.1.4", seed=None)
        names = [t.name for t in plan.tensors]
        refused = next(k for k, name in enumerate(names) if "layernorm" in name)
        got = []
        with (
            RulesAhead(plan.tensors) as rules,
            pytest.raises(UsageError, match="keeps nothing"),
        ):
            got.extend(tensor.name for tensor, _ in rules.of(plan.tensors))
    assert got == names[:refused]
    assert refused > 0


def test_nothing_is_begun_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_ahead, "MOST", 1)
    begun = []
    recipe = read_recipe(ties(tmp_path))
    with open_models(recipe) as opened:
        plan = make_plan(recipe, opened, profile=None, seed=None)
        monkeypatch.setattr(rules_ahead, "prepared", lambda t: begun.append(t.name))
        with RulesAhead(plan.tensors) as rules:
            next(rules.of(plan.tensors))
    assert len(begun) <= 2 < len(plan.tensors)
