"""Numbers are held where the answer has them, and only there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from parentage.records.recognition import Numbers
from tests.recognition.confusion.scored import of_replay


def replayed(method: str, each: tuple[dict[str, Any], ...], **shared: Any) -> Any:
    """A replay of O, A and B with ranges of a thousandth around each weight."""
    ranges = [
        SimpleNamespace(parameter="weight", operand=k, value=w, low=w - 1e-3, high=w + 1e-3)
        for k, row in enumerate(each)
        if (w := row.get("weight")) is not None
    ]
    return SimpleNamespace(method=method, operands=(1, 2, 3), numbers=Numbers(each, shared), ranges=ranges)


def recipe(method: str, a: float, b: float, **shared: Any) -> dict[str, Any]:
    each = [{}, {"weight": a, "density": 0.5}, {"weight": b, "density": 0.3}]
    given = dict.fromkeys("OAB", "")
    return {"method": method, "models": "OAB", "each": each, "shared": shared, "given": given}


@pytest.mark.parametrize(
    ("a", "b", "held"), [(0.6, 0.3, [True, True]), (0.6, 0.32, [True, False]), (0.3, 0.15, [False, False])]
)
def test_weights_that_are_added_are_held_as_they_are(a: float, b: float, held: list[bool]) -> None:
    found = replayed("task_arithmetic", ({}, {"weight": 0.6}, {"weight": 0.3}))
    assert [one.held for one in of_replay(found, recipe("task_arithmetic", a, b))] == held


@pytest.mark.parametrize(("a", "b", "held"), [(0.3, 0.15, [True, True]), (0.3, 0.3, [False, False])])
def test_weights_that_are_divided_by_their_sum_are_held_as_proportions(
    a: float, b: float, held: list[bool]
) -> None:
    found = replayed("ties", ({}, {"weight": 1.0}, {"weight": 0.5}))
    assert [one.held for one in of_replay(found, recipe("ties", a, b))] == held


def test_a_density_is_held_by_its_own_model_alone() -> None:
    found = replayed("ties", ({}, {"density": 0.5}, {"density": 0.5}))
    assert [(one.true, one.held) for one in of_replay(found, recipe("ties", 1, 1))] == [
        (0.5, True),
        (0.3, False),
    ]
