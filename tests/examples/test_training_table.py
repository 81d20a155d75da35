"""The table of what training leaves: what is counted, and the doses that are read off it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scripts.docs.make_training_table import DATA, DOSES, NAMES, PAGE, SECOND, page, smallest_dose
from scripts.training.changes import compare

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.numerics.shares.intervals_binomial import smallest_detectable_share
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

TENSORS = ("model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight")


def _written(folder: Path, values: dict[str, np.ndarray]) -> Path:
    stored = {n: StoredTensor(DType.BF16, v.shape, round_to(v, DType.BF16)) for n, v in values.items()}
    write_safetensors(folder / "model.safetensors", stored)
    return folder


def test_a_change_of_rank_one_in_one_matrix_is_counted_as_such(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before = {n: rng.normal(0, 0.02, (32, 16)) for n in TENSORS}
    u, v = np.ones(32), np.zeros(16)
    v[3] = 4.0
    after = before | {TENSORS[1]: before[TENSORS[1]] + np.outer(u, v)}
    found = compare(_written(tmp_path / "a", before), _written(tmp_path / "b", after))
    assert found.elements == 2 * 512
    assert found.share == 32 / 1024
    assert found.by_component == {"attention": 0.0, "feed-forward": 32 / 512}
    assert (found.untouched, found.matrices) == (1, 2)
    assert found.stable_rank == pytest.approx(1.0, abs=1e-3)
    assert found.full_rank == 16


def test_a_model_against_itself_shows_nothing(tmp_path: Path) -> None:
    place = _written(tmp_path / "a", {n: np.full((4, 4), 0.5) + np.eye(4) for n in TENSORS})
    found = compare(place, place)
    assert (found.share, found.sigma, found.stable_rank, found.untouched) == (0, 0, None, 2)


def _rows(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"dose": d, "share": s} for d, s in points]


def test_a_dose_between_two_lies_on_the_line_of_logarithms() -> None:
    assert smallest_dose(_rows((1e-6, 1e-4), (1e-4, 1e-2)), 1e-3) == "1e-05"


def test_doses_outside_what_was_measured_are_bounds() -> None:
    rows = _rows((1e-6, 1e-4), (1e-4, 1e-2))
    assert smallest_dose(rows, 1e-5) == "at most 1e-06"
    assert smallest_dose(rows, 0.5) == "more than 0.0001"
    assert smallest_dose(_rows((1e-6, 0.0), (1e-4, 1e-2)), 1e-3) == "1e-06 to 0.0001"


def test_more_elements_show_smaller_shares_with_the_same_power() -> None:
    for n in (100, 10_000):
        share = smallest_detectable_share(n, power=0.99)
        assert (1 - share) ** n == pytest.approx(0.01)


def test_the_page_is_the_one_that_the_measurements_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m scripts.docs.make_training_table"


def test_every_kind_of_training_was_measured_in_several_doses() -> None:
    rows = json.loads(DATA.read_text("utf-8"))
    found = {r["kind"] for r in rows}
    assert found == set(NAMES)
    for kind in found:
        assert len({r["dose"] for r in rows if r["kind"] == kind}) >= 3, kind


def test_no_row_tells_of_training_without_a_changed_number_or_finds_none_where_some_changed() -> None:
    for row in json.loads(DATA.read_text("utf-8")):
        assert 0 <= row["share"] <= 1
        if row["post_training"] == "detected":
            assert row["share"] > 0, row["settings"]
        if row["share"] > 1e-3:
            assert row["post_training"] != "not-detected", (row["kind"], row["settings"])


def test_a_second_model_shows_the_order_of_doses_too_and_a_checkpoint_is_told_by_its_own_steps() -> None:
    rows = {r["model"]: r for r in json.loads(SECOND.read_text("utf-8"))}
    nex, half = rows["nex"], rows["nex/checkpoints/step-24"]
    assert half["settings"].startswith("24 of 48 steps")
    assert half["dose"] < nex["dose"]
    assert half["share"] < nex["share"]
    assert rows["lora"]["by_component"]["embedding"] == 0
    assert rows["lora"]["stable_rank"] < rows["teacher"]["stable_rank"]
    assert all(0 < r["share"] < 1 for r in rows.values())


def test_small_doses_of_the_second_model_change_more_the_larger_they_are_and_none_is_called_untouched() -> (
    None
):
    rows = sorted(json.loads(DOSES.read_text("utf-8")), key=lambda r: r["dose"])
    assert [r["share"] for r in rows] == sorted(r["share"] for r in rows)
    assert all(r["share"] > 0 and r["post_training"] != "not-detected" for r in rows)
