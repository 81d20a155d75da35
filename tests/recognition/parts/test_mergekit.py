"""Merges by mergekit itself: layers of two merges in one model, weights and densities that run over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage import api
from parentage.merging.recipe_reading import recipe_from_text
from parentage.records.recipe import Clause, Recipe
from parentage.records.recognition import Recognition
from tests.worlds.fixtures import FOLDER

KIT = FOLDER / "parts"


def _audited(name: str) -> tuple[api.AuditResult, Recipe]:
    suspect = str(KIT / f"{name}.safetensors")
    parents = [str(KIT / f"{parent}.safetensors") for parent in "OAB"]
    found = api.audit(suspect, parents=parents, sample=256, workers=1, digests=False)
    recipe = recipe_from_text(api.render_recipe(found.evidence))
    again = api.replay(recipe, suspect)
    assert again.holds, found.report.verdict.sentence
    assert again.matches == again.elements
    return found, recipe


def _weights(recipe: Recipe) -> dict[str, tuple[Clause, ...]]:
    return {Path(s.model.model).stem: s.parameters["weight"].clauses for s in recipe.models}


@pytest.mark.slow
def test_layers_of_two_merges_are_told_apart() -> None:
    found, recipe = _audited("stack")
    report = found.report
    assert (report.verdict.relation, report.verdict.status) == ("mixed-merge", "supported")
    assert {p.recipe.method for p in recipe.parts} == {"ties", "linear"}
    assert "weight = 0.6 : 0.3, density = 0.5 : 0.3" in report.verdict.sentence
    assert report.post_training.status == "not-detected"
    ties = next(p for p in report.verdict.parts if p.relation == "ties-merge")
    assert "layers 0 to 1" in ties.where or ties.where == "the rest"


@pytest.mark.slow
def test_weights_that_run_over_the_layers_are_a_gradient() -> None:
    found, recipe = _audited("gradient")
    assert (found.report.verdict.relation, found.report.verdict.status) == ("linear-merge", "supported")
    assert _weights(recipe) == {"A": (Clause((0.2, 0.8)),), "B": (Clause((0.8, 0.2)),)}


@pytest.mark.slow
def test_weights_by_names_are_so_written() -> None:
    found, recipe = _audited("names")
    assert (found.report.verdict.relation, found.report.verdict.status) == ("linear-merge", "supported")
    assert _weights(recipe) == {
        "A": (Clause(0.7, "attention"), Clause(0.4)),
        "B": (Clause(0.3, "attention"), Clause(0.6)),
    }


@pytest.mark.slow
def test_a_density_that_runs_over_the_layers_is_told_as_a_gradient_with_its_span() -> None:
    """From .3 to .95: where numbers are alike a whole span of densities keeps the same elements."""
    parents = [str(KIT / f"{parent}.safetensors") for parent in "OAB"]
    suspect = str(KIT / "density.safetensors")
    found = api.audit(suspect, parents=parents, sample=256, workers=1, digests=False)
    verdict, recognition = found.report.verdict, found.evidence.recognition
    assert isinstance(recognition, Recognition)
    (replay,) = recognition.replays
    assert (verdict.relation, verdict.status) == ("ties-merge", "supported")
    assert replay.matches == replay.informative > 0
    ((clause,),) = (course.clauses for course in replay.courses)
    assert len(clause.values) == 2
    assert clause.low[0] < 0.3 < clause.high[0]
    assert clause.low[1] < 0.95 < clause.high[1]
    assert "density of A.safetensors rises evenly from 0.3 to 0.9 (0.875 to 1)" in verdict.sentence
