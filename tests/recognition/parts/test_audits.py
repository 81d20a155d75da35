"""A merge in parts is told part by part, and numbers that run over the model as the recipe wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.merging.recipe_reading import recipe_from_text
from parentage.records.recipe import Clause, Recipe
from parentage.reports.terminal import render_text
from parentage.verdicts.judge import judge
from tests.recognition.parts import recipes
from tests.recognition.parts.worlds import audit, family, merge

Make = Callable[[Mapping[str, Path]], dict[str, Any]]
FAR = 0.3
NEAR = 0.05


def _audited(
    make: Make, folder: Path, parents: str, *, apart: float, controls: str = ""
) -> tuple[api.AuditResult, Recipe]:
    """The audit of a merge, and the recipe that it recovered, which must make the merge again."""
    models = family(folder, apart=apart)
    suspect = merge(folder, make(models))
    found = audit(suspect, models, parents, controls)
    recipe = recipe_from_text(api.render_recipe(found.evidence))
    again = api.replay(recipe, str(suspect))
    assert again.holds
    assert again.matches == again.elements
    api.save_evidence(found.evidence, folder / "e.json")
    assert judge(api.load_evidence(folder / "e.json")) == found.report
    return found, recipe


def test_three_rules_in_one_model_are_told_with_their_layers(tmp_path: Path) -> None:
    def make(models: Mapping[str, Path]) -> dict[str, Any]:
        first = recipes.part(recipes.slerp(models, 0.4), layers=[0, 2])
        second = recipes.part(recipes.ties(models), layers=[2, 4])
        return recipes.mixed(first, second, recipes.linear(models, 0.6, 0.4))

    found, recipe = _audited(make, tmp_path, "OAB", apart=FAR, controls="C")
    report = found.report
    assert (report.verdict.relation, report.verdict.status) == ("mixed-merge", "supported")
    assert report.post_training.status == "not-detected"
    assert [(p.where, p.relation) for p in report.verdict.parts] == [
        ("layers 0 to 1", "slerp-merge"),
        ("layers 2 to 3", "ties-merge"),
        ("the rest", "linear-merge"),
    ]
    assert "weight = 0.6 : 0.3, density = 0.5 : 0.3" in report.verdict.sentence
    assert [(p.recipe.method, p.layers) for p in recipe.parts] == [
        ("slerp", (0, 2)),
        ("ties", (2, 4)),
        ("linear", None),
    ]
    assert report.coverage.elements_examined == report.coverage.elements
    control = next(c for c in report.controls if c.real)
    assert isinstance(control.match, float)
    assert control.match < 0.5
    for text in (render_text(report), api.render_html(report)):
        assert "TIES" in text


def test_a_gradient_is_recovered_as_one(tmp_path: Path) -> None:
    found, recipe = _audited(lambda m: recipes.slerp(m, [0.2, 0.9, 0.5]), tmp_path, "OA", apart=FAR)
    report = found.report
    assert (report.verdict.relation, report.verdict.status) == ("slerp-merge", "supported")
    (clause,) = recipe.parameters["t"].clauses
    # From which end t is counted is not in the numbers.
    assert clause in (Clause((0.2, 0.9, 0.5)), Clause((0.8, 0.1, 0.5)))
    assert "over the layers (linear between" in report.verdict.sentence
    course = report.replay.parameters["courses"][0]  # type: ignore[union-attr]
    (told,) = course["clauses"]
    for value, low, high in zip(told["values"], told["low"], told["high"], strict=True):
        assert low < value < high < low + 0.01


@pytest.mark.slow
def test_gradients_by_names_are_recovered_as_a_tool_s_example_has_them(tmp_path: Path) -> None:
    attention, mlp = [0.0, 0.5, 0.3, 0.7, 1.0], [1.0, 0.5, 0.7, 0.3, 0.0]
    t = [{"filter": "self_attn", "value": attention}, {"filter": "mlp", "value": mlp}, {"value": 0.5}]
    _, recipe = _audited(lambda m: recipes.slerp(m, t), tmp_path, "OA", apart=FAR)
    told = {c.value for c in recipe.parameters["t"].clauses}
    # These two are each other's mirror, so that either model may be the base.
    assert told == {tuple(attention), tuple(mlp), 0.5}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0.2, 0.8], [0.8, 0.2]),
        (
            [{"filter": "self_attn", "value": 0.7}, {"value": 0.4}],
            [{"filter": "self_attn", "value": 0.3}, {"value": 0.6}],
        ),
    ],
    ids=["gradient", "names"],
)
def test_weights_that_run_over_the_model_are_written_as_they_were(a: Any, b: Any, tmp_path: Path) -> None:
    found, recipe = _audited(lambda m: recipes.linear(m, a, b), tmp_path, "AB", apart=NEAR)
    assert (found.report.verdict.relation, found.report.verdict.status) == ("linear-merge", "supported")
    lengths = {len(s.parameters["weight"].clauses) for s in recipe.models}
    assert lengths == ({1} if isinstance(a[0], float) else {2})


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["ties", "linear"])
def test_layers_taken_over_beside_merged_ones_are_parts(rule: str, tmp_path: Path) -> None:
    def make(models: Mapping[str, Path]) -> dict[str, Any]:
        own = recipes.ties(models) if rule == "ties" else recipes.linear(models, 0.6, 0.4)
        return recipes.mixed(recipes.part(own, layers=[2, 5]), recipes.taken(models, "B"))

    found, _ = _audited(make, tmp_path, "OAB", apart=NEAR)
    report = found.report
    assert (report.verdict.relation, report.verdict.status) == ("mixed-merge", "supported")
    assert {p.relation for p in report.verdict.parts} == {f"{rule}-merge", "passthrough-merge"}


@pytest.mark.slow
def test_a_change_of_one_element_leaves_a_merge_in_parts_undetermined(tmp_path: Path) -> None:
    models = family(tmp_path, apart=FAR)
    first = recipes.part(recipes.slerp(models, 0.4), filter="self_attn")
    suspect = merge(tmp_path, recipes.mixed(first, recipes.linear(models, 0.6, 0.4)))
    path = suspect / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-2001] ^= 1
    path.write_bytes(raw)
    report = audit(suspect, models, "OAB").report
    assert report.verdict.relation != "mixed-merge" or report.verdict.status != "supported"


@pytest.mark.slow
def test_another_fine_tune_falls_into_no_parts(tmp_path: Path) -> None:
    models = family(tmp_path, apart=NEAR)
    found = audit(models["C"], models, "OAB")
    assert found.report.verdict.relation != "mixed-merge"
    recognition = found.evidence.recognition
    assert getattr(recognition, "parts", ()) == ()
