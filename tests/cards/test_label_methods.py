"""A label from an audit's evidence, for merges by methods other than a weighted sum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from tests.cli.running import Run
from tests.recognition.worlds import Made, family, made

SLERP = Made("slerp", "OA", 0, (), {"t": 0.35})
HALF, THIRD = {"weight": 0.6, "density": 0.5}, {"weight": 0.3, "density": 0.3}
TIES = Made("ties", "OAB", 0, ({}, HALF, THIRD))


@pytest.mark.parametrize("recipe", [SLERP, TIES], ids=["slerp", "ties"])
def test_a_recognised_merge_is_labelled_with_the_recipe_that_replays_it(
    recipe: Made, run: Run, tmp_path: Path
) -> None:
    far = recipe is SLERP
    models = family(3, count=1, size=3_000, apart=(0.3, 0.5) if far else (0.02, 0.01))
    folder = tmp_path / "merge"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write_safetensors(folder / "model.safetensors", made(recipe, models))
    places = [tmp_path / f"{name}.safetensors" for name in recipe.operands]
    for place, name in zip(places, recipe.operands, strict=True):
        write_safetensors(place, models[name])
    audited = api.audit(str(folder), parents=[str(p) for p in places], sample=512, workers=1)
    assert audited.report.verdict.status == "supported", audited.report.verdict.sentence
    seen = audited.evidence.coverage
    assert seen.elements_examined < seen.elements == seen.elements_replayed
    assert audited.report.coverage.elements_examined == seen.elements
    assert not any("elements were examined" in limit for limit in audited.report.verdict.limits)
    api.save_evidence(audited.evidence, tmp_path / "e.json")

    assert run("label", "write", folder, "--evidence", tmp_path / "e.json").code == 0
    record = json.loads((folder / "parentage.json").read_text())
    assert record["method"] == recipe.method
    assert record["basis"]["kind"] == "recovered"
    assert record["basis"]["matches"] == record["basis"]["elements"] > 0
    assert [p["base"] for p in record["parents"]] == [True] + [False] * (len(places) - 1)
    assert all("absent" in p["share"] for p in record["parents"])
    assert run("label", "verify", folder).code == 0
    assert run("replay", folder / "merge-recipe.yaml", folder).code == 0


def test_a_replay_that_carries_no_verdict_does_not_count_as_looked_at(tmp_path: Path) -> None:
    models = family(3, count=1, size=3_000, apart=(0.02, 0.01))
    for name in "OAB":
        write_safetensors(tmp_path / f"{name}.safetensors", models[name])
    places = [str(tmp_path / f"{name}.safetensors") for name in "BOA"]
    found = api.audit(places[0], parents=places[1:], sample=256, workers=1, digests=False)
    assert found.report.coverage.elements_examined == found.evidence.coverage.elements_examined
    assert found.report.coverage.elements_examined < found.report.coverage.elements
