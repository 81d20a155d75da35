"""Rules whose passes run ahead are those of the tensors that they are asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.merging import rules_ahead
from parentage.merging.inputs import open_models
from parentage.merging.plan import make_plan
from parentage.merging.planned import PlannedTensor
from parentage.merging.recipe_reading import read_recipe
from parentage.merging.rules_ahead import RulesAhead, held_bytes, prepared
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


@pytest.mark.parametrize("most", [0, rules_ahead.MOST_HELD])
def test_every_second_tensor_gets_its_own_rule(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_ahead, "MOST_HELD", most)
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


def begun_after_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: dict[str, int], rule: object, wait: float
) -> tuple[int, int]:
    """Rules made while the first tensor is written, with so much room for them; tensors in all."""
    for name, value in room.items():
        monkeypatch.setattr(rules_ahead, name, value)
    begun: list[str] = []

    def made(tensor: PlannedTensor) -> object:
        begun.append(tensor.name)
        return rule

    recipe = read_recipe(ties(tmp_path))
    with open_models(recipe) as opened:
        plan = make_plan(recipe, opened, profile=None, seed=None)
        monkeypatch.setattr(rules_ahead, "prepared", made)
        with RulesAhead(plan.tensors) as rules:
            next(rules.of(plan.tensors))
            end = time.monotonic() + wait
            while len(begun) < len(plan.tensors) and time.monotonic() < end:
                time.sleep(0.001)
    return len(begun), len(plan.tensors)


class Held(NamedTuple):
    """Something that a rule may consist of."""

    cuts: list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Large:
    """A rule that holds 3,000 bytes."""

    parts: tuple[Held, ...] = (Held([np.zeros(1000, np.uint8)] * 2), Held([np.zeros(1000, np.uint8)]))


def test_what_a_rule_holds_is_counted() -> None:
    assert held_bytes(Large()) == 3000
    assert held_bytes(None) == 0


@pytest.mark.parametrize(
    ("room", "rule"),
    [({"MOST_HELD": 1}, Large()), ({"MOST_RULES": 1}, None), ({"SHARE_OF_MEMORY": 2**62}, Large())],
)
def test_one_rule_is_ahead_where_there_is_no_room_for_more(
    room: dict[str, int], rule: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, tensors = begun_after_one(tmp_path, monkeypatch, room, rule, wait=0.2)
    assert begun <= 2 < tensors


def test_all_are_made_ahead_where_they_hold_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, tensors = begun_after_one(tmp_path, monkeypatch, {}, Large(), wait=60)
    assert begun == tensors
