"""TIES and breadcrumbs are named with the numbers that were typed, and nothing else is called so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parentage.evidence.recognition.thinned.by_size import THINNED_BY_SIZE
from parentage.records.dtypes import DType
from tests.recognition.passes import recognition_of
from tests.recognition.worlds import Made, audit, family, made, recognised
from tests.worlds.planted import Model

HALF, THIRD = {"weight": 0.6, "density": 0.5}, {"weight": 0.3, "density": 0.3}
SMALL = {"count": 2, "size": 6_000, "apart": (0.02, 0.01, 0.01)}


def models_of(seed: int) -> dict[str, Model]:
    return family(seed, **SMALL)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "operands", "each", "shared", "dtype"),
    [
        ("ties", "OAB", (HALF, THIRD), {}, DType.BF16),
        pytest.param(
            *("ties", "OAB", (HALF, THIRD), {"normalize": False, "lambda": 1.5}, DType.F32),
            marks=pytest.mark.slow,
        ),
        pytest.param("ties", "OAB", (HALF, THIRD), {"rescale": True}, DType.BF16, marks=pytest.mark.slow),
        pytest.param(
            *("breadcrumbs", "OAB", ({**HALF, "gamma": 0.1}, {**THIRD, "gamma": 0.05}), {}, DType.BF16),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("breadcrumbs_ties", "OAB", ({**HALF, "gamma": 0.1}, {**THIRD, "gamma": 0.05}), {}, DType.F32),
            marks=pytest.mark.slow,
        ),
        ("ties", "OA", (HALF,), {}, DType.BF16),
    ],
)
def test_a_recipe_is_recovered_number_by_number(
    name: str, operands: str, each: tuple[Any, ...], shared: dict[str, Any], dtype: DType
) -> None:
    models = models_of(3)
    suspect = made(Made(name, operands, 0, ({}, *each), shared, dtype=dtype), models)
    (replay,) = recognition_of(suspect, models, operands).replays
    assert replay.matches == replay.informative > 5_000
    assert replay.method == name
    for row, given in zip(replay.numbers.each[1:], each, strict=True):
        assert {k: v for k, v in row.items() if k != "weight"} == {
            k: v for k, v in given.items() if k != "weight"
        }
    weights = [row["weight"] for row in replay.numbers.each[1:]]
    assert weights[0] / weights[-1] == pytest.approx(each[0]["weight"] / each[-1]["weight"])
    assert {k: v for k, v in replay.numbers.shared.items() if k != "lambda"} == {
        k: v for k, v in shared.items() if k != "lambda"
    }


def test_a_merge_by_ties_is_reported_as_one() -> None:
    models = family(3, count=1, size=3_000, apart=(0.02, 0.01))
    suspect = made(Made("ties", "OAB", 0, ({}, HALF, THIRD)), models)
    result = audit(suspect, models, "ABO")
    report = result.report
    assert (report.verdict.relation, report.verdict.status) == ("ties-merge", "supported")
    assert result.evidence.models[recognised(result).operands[0]].name == "O.safetensors"
    assert "weight = 0.6 : 0.3, density = 0.5 : 0.3" in report.verdict.sentence
    assert report.post_training.status == "not-detected"


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_change_after_it_keeps_a_merge_by_ties_from_being_named(share: float) -> None:
    models = models_of(3)
    suspect = made(Made("ties", "OAB", 0, ({}, HALF, THIRD)), models)
    for tensor in suspect.values():
        tensor.bits[: int(share * tensor.bits.size)] ^= 1
    found = recognition_of(suspect, models, "OAB")
    assert all(r.matches < r.informative for r in found.replays)


@pytest.mark.parametrize("name", ["breadcrumbs"])
def test_our_own_merges_of_models_in_16_bits_are_recognised(name: str) -> None:
    """Changes of one size are many there, and each arithmetic keeps others of them."""
    models = models_of(5)
    made_here = Made(name, "OAB", 0, ({}, HALF, THIRD), arithmetic="parentage-1", dtype=DType.F32)
    (replay,) = recognition_of(made(made_here, models), models, "OAB").replays
    assert replay.matches == replay.informative > 5_000
    assert (replay.method, replay.arithmetic) == (name, "parentage-1")
    assert [row["density"] for row in replay.numbers.each[1:]] == [0.5, 0.3]


def test_tensors_outside_the_probe_tell_recipes_apart_that_the_probe_does_not() -> None:
    """Of changes of one size a tool keeps those that its sort puts first; a probe without them is mute."""
    models = family(3, count=2, size=6_000, apart=(0.02, 0.01), dtype=DType.F32)
    quiet, probe = "model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.weight"
    models["A"][quiet].bits[:] = models["O"][quiet].bits ^ 1
    suspect = made(Made("ties", "OAB", 0, ({}, HALF, THIRD), dtype=DType.F32, out=DType.F32), models)
    found = recognition_of(suspect, models, "OAB", probed=(probe,))
    assert found.replays[0].arithmetic == "mergekit-0.1.5"
    assert found.replays[0].matches == found.replays[0].informative


def test_a_share_of_which_the_first_tensor_tells_little_is_told_by_the_others() -> None:
    """B changed one number in twenty of the first: of the simplest densities left .2 is nearest."""
    models = family(4, count=2, size=6_000, apart=(0.02, 0.01))
    first = next(iter(models["O"]))
    base, other = models["O"][first].bits, models["B"][first].bits
    same = np.arange(base.size) % 20 != 0
    other[same] = base[same]
    few = {"weight": 0.31, "density": 0.17}
    recipe = Made("ties", "OAB", 0, ({}, {"weight": 0.69, "density": 0.32}, few), {})
    (replay,) = recognition_of(made(recipe, models), models, "OAB", among=(THINNED_BY_SIZE,)).replays
    assert replay.matches == replay.informative > 10_000
    assert replay.numbers.each[2] == few
