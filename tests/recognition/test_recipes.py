"""recover(merge(recipe)) is a recipe that makes the same merge, bit for bit, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.merging.recipe_reading import recipe_from_text
from parentage.records.dtypes import DType
from tests.recognition.worlds import Made, family, made

WEIGHTS = st.integers(20, 90).map(lambda n: n / 100)
DTYPES = st.sampled_from((DType.BF16, DType.F32))


@dataclass(frozen=True)
class Drawn:
    """A recipe and the families that it merges: near ones, or ones that point elsewhere."""

    recipe: Made
    far: bool


@st.composite
def recipes(draw: st.DrawFn) -> Drawn:
    method = draw(st.sampled_from(("slerp", "nuslerp", "task_arithmetic", "model_stock", "multislerp")))
    dtype = draw(DTYPES)
    each = ({}, {"weight": draw(WEIGHTS)}, {"weight": draw(WEIGHTS)})
    if method == "slerp":
        return Drawn(Made("slerp", "OA", 0, (), {"t": draw(WEIGHTS)}, dtype=dtype), far=True)
    if method == "task_arithmetic":
        shared: dict[str, Any] = {"lambda": 1.0, "normalize": False}
        return Drawn(Made(method, "OAB", 0, each, shared, dtype=DType.BF16), far=False)
    # Changes of random directions are orthogonal: but for roundings to 16 bits these would be plain blends.
    return Drawn(Made(method, "OAB", 0, () if method == "model_stock" else each, {}), far=False)


def _recovered(drawn: Drawn, folder: Path) -> None:
    models = family(11, count=2, size=3_000, apart=(0.3, 0.5) if drawn.far else (0.01, 0.01))
    paths = {name: folder / f"{name}.safetensors" for name in ("suspect", "O", "A", "B")}
    for name, path in paths.items():
        if name == "suspect" or not path.exists():
            write_safetensors(path, made(drawn.recipe, models) if name == "suspect" else models[name])
    parents = [str(paths[n]) for n in drawn.recipe.operands]
    result = api.audit(str(paths["suspect"]), parents=parents, sample=1024, workers=1, digests=False)
    found = recipe_from_text(api.render_recipe(result.evidence))
    assert found.method == drawn.recipe.method, result.report.verdict.sentence
    again = api.replay(found, str(paths["suspect"]))
    assert again.holds
    assert again.informative_matches == again.informative > 0


@pytest.mark.parametrize("method", [pytest.param("task_arithmetic", marks=pytest.mark.slow), "slerp"])
def test_a_recovered_recipe_makes_the_merge_again(method: str, tmp_path: Path) -> None:
    if method == "slerp":
        drawn = Drawn(Made("slerp", "OA", 0, (), {"t": 0.35}), far=True)
    else:
        each = ({}, {"weight": 0.45}, {"weight": 0.35})
        drawn = Drawn(Made(method, "OAB", 0, each, {"lambda": 1.0, "normalize": False}), far=False)
    _recovered(drawn, tmp_path)


@pytest.mark.slow
@settings(
    max_examples=8, deadline=None, phases=(Phase.generate,), suppress_health_check=[HealthCheck.too_slow]
)
@given(drawn=recipes())
def test_random_recipes_come_back(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> None:
    _recovered(drawn, tmp_path_factory.mktemp("recipes"))
