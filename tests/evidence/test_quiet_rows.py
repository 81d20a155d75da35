"""Quiet rows of planted checkpoints, and of the real family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from parentage.architectures.alignment import align
from parentage.checkpoints.opening import open_checkpoint
from parentage.evidence.quiet_rows import measure_quiet_rows
from parentage.records.absence import Absent
from parentage.records.evidence import QuietRows

NAME = "embeddings.word_embeddings.weight"
ROWS, COLUMNS, TRAINED = 300, 64, 40


def embedding(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.05, (ROWS, COLUMNS)).astype(np.float32)


def train(
    start: NDArray[np.float32], rates: Sequence[float], weight_decay: float, seed: int = 1
) -> NDArray[np.float32]:
    """AdamW: decay everywhere, and a noisy update of the first rows, whose tokens occur."""
    rng = np.random.default_rng(seed)
    out = start.copy()
    for rate in rates:
        out = out * np.float32(1 - rate * weight_decay)
        out[:TRAINED] -= (rate * rng.normal(0, 1, (TRAINED, COLUMNS))).astype(np.float32)
    return out


def linear(peak: float, steps: int, total: int, warmup: int) -> list[float]:
    up = [peak * (t / max(1, warmup)) for t in range(min(steps, warmup))]
    return up + [peak * max(0.0, (total - t) / (total - warmup)) for t in range(warmup, steps)]


def cosine(peak: float, steps: int, total: int, warmup: int) -> list[float]:
    up = [peak * (t / max(1, warmup)) for t in range(min(steps, warmup))]
    span = total - warmup
    return up + [
        peak * 0.5 * (1 + float(np.cos(np.pi * (t - warmup) / span))) for t in range(warmup, steps)
    ]


def measure(
    folder: Path,
    suspect: NDArray[np.generic],
    *models: NDArray[np.generic],
    block: int = 2**20,
    budget: int = 50_000_000,
) -> tuple[QuietRows, ...]:
    checkpoints = []
    for k, weights in enumerate((suspect, *models)):
        path = folder / f"{k}.safetensors"
        save_file({NAME: np.ascontiguousarray(weights)}, path)
        checkpoints.append(open_checkpoint(path))
    alignment = align(checkpoints[0], checkpoints[1:])
    try:
        return measure_quiet_rows(alignment, checkpoints, block_elements=block, step_budget=budget)
    finally:
        for checkpoint in checkpoints:
            checkpoint.close()


@pytest.mark.parametrize(
    ("rates", "weight_decay", "words", "steps"),
    [
        (linear(2e-5, 300, 400, 100), 0.01, "300 steps of a 400-step linear", 300),
        (linear(5e-5, 777, 777, 50), 0.01, "777 steps of a 777-step linear", 777),
        (cosine(1e-4, 600, 1000, 100), 0.01, "600 steps of a 1,000-step cosine", 600),
        ([3e-4] * 150, 0.1, "150 steps at a constant rate", 150),
    ],
)
def test_the_schedule_is_read_from_the_rows(
    tmp_path: Path, rates: list[float], weight_decay: float, words: str, steps: int
) -> None:
    parent = embedding()
    (found,) = measure(tmp_path, train(parent, rates, weight_decay), parent)
    assert isinstance(found.schedule, str)
    assert found.schedule.startswith(words)
    assert (found.model, found.tensor, found.rows) == (1, NAME, ROWS)
    assert found.quiet == found.exact_rows == ROWS - TRAINED
    assert found.steps == steps
    assert isinstance(found.learning_rate, float)
    assert isinstance(found.weight_decay, float)
    assert found.learning_rate * found.weight_decay == pytest.approx(max(rates) * weight_decay)
    factors = np.array([1 - r * weight_decay for r in rates]).astype(np.float32)
    total = float(np.prod(factors.astype(np.float64)))
    assert found.factor_low <= total <= found.factor_high


def test_schedules_that_leave_the_same_bits_are_not_told_apart(tmp_path: Path) -> None:
    parent = embedding()
    (found,) = measure(tmp_path, train(parent, [1.6e-5] * 90, 0.01), parent)
    assert isinstance(found.schedule, Absent)
    assert "leave the same bits" in found.schedule.reason
    assert isinstance(found.learning_rate, Absent)


def test_an_interrupted_schedule_rejects_its_neighbours(tmp_path: Path) -> None:
    parent = embedding()
    (found,) = measure(tmp_path, train(parent, linear(2e-5, 300, 400, 100), 0.01), parent)
    assert found.neighbours_rejected


def test_a_finished_schedule_ends_in_steps_too_small_to_see(tmp_path: Path) -> None:
    parent = embedding()
    (found,) = measure(tmp_path, train(parent, linear(5e-5, 777, 777, 50), 0.01), parent)
    assert not found.neighbours_rejected


def test_blocks_of_rows_change_nothing(tmp_path: Path) -> None:
    parent = embedding()
    suspect = train(parent, linear(2e-5, 300, 400, 100), 0.01)
    assert measure(tmp_path, suspect, parent) == measure(tmp_path, suspect, parent, block=7 * COLUMNS)


def test_the_parent_is_not_found_to_descend_from_its_child(tmp_path: Path) -> None:
    parent = embedding()
    child = train(parent, linear(2e-5, 300, 400, 100), 0.01)
    assert measure(tmp_path, parent, child) == ()


def test_only_the_parent_is_found_among_others(tmp_path: Path) -> None:
    parent = embedding()
    child = train(parent, linear(2e-5, 300, 400, 100), 0.01)
    found = measure(tmp_path, child, embedding(5), parent)
    assert [f.model for f in found] == [2]


def test_equal_rows_are_not_quiet(tmp_path: Path) -> None:
    parent = embedding()
    assert measure(tmp_path, train(parent, linear(2e-5, 300, 400, 100), 0.0), parent) == ()
    assert measure(tmp_path, parent, parent) == ()


def test_unrelated_weights_have_no_quiet_rows(tmp_path: Path) -> None:
    assert measure(tmp_path, embedding(8), embedding(9)) == ()


def test_a_sibling_is_never_replayed(tmp_path: Path) -> None:
    base = np.random.default_rng(3).normal(0, 0.05, (4000, COLUMNS)).astype(np.float32)
    longer = train(base, linear(2e-5, 900, 1000, 100), 0.01, seed=1)
    shorter = train(base, linear(2e-5, 300, 400, 100), 0.01, seed=2)
    (found,) = measure(tmp_path, longer, shorter)
    assert found.quiet > 0
    assert found.exact_rows == 0
    assert isinstance(found.schedule, Absent)


def test_one_scaling_of_all_weights_is_no_schedule(tmp_path: Path) -> None:
    parent = embedding()
    (found,) = measure(tmp_path, parent * np.float32(0.97), parent, budget=5_000_000)
    assert isinstance(found.schedule, Absent)
    assert found.exact_rows == 0


def test_a_float32_merge_of_parent_and_child_is_not_replayed(tmp_path: Path) -> None:
    parent = embedding()
    child = train(parent, linear(1e-4, 900, 1000, 100), 0.1)
    merge = (np.float32(0.6) * child + np.float32(0.4) * parent).astype(np.float32)
    found = measure(tmp_path, merge, parent, budget=5_000_000)
    assert found
    assert all(f.exact_rows == 0 for f in found)


def test_a_suspect_of_sixteen_bits_has_none(tmp_path: Path) -> None:
    parent = embedding()
    child = train(parent, linear(1e-3, 900, 1000, 100), 0.1)
    assert measure(tmp_path, child.astype(np.float16), parent) == ()
    assert measure(tmp_path, child.astype(np.float16).astype(np.float32), parent) == ()


def test_a_parent_of_sixteen_bits_is_widened_first(tmp_path: Path) -> None:
    parent = embedding().astype(np.float16)
    child = train(parent.astype(np.float32), linear(2e-5, 300, 400, 100), 0.01)
    (found,) = measure(tmp_path, child, parent)
    assert found.exact_rows == ROWS - TRAINED


def test_steps_of_the_smallest_size_tell_their_number_alone(tmp_path: Path) -> None:
    parent = embedding()
    (found,) = measure(tmp_path, train(parent, [6e-6] * 80, 0.01), parent)
    assert isinstance(found.schedule, Absent)
    assert found.schedule.reason.startswith("80 steps")
    assert found.exact_rows == 0


def test_nan_and_zero_rows_do_no_harm(tmp_path: Path) -> None:
    parent = embedding()
    parent[100] = 0
    child = train(parent, linear(2e-5, 300, 400, 100), 0.01)
    child[101, 3] = np.nan
    (found,) = measure(tmp_path, child, parent)
    assert found.quiet == found.exact_rows == ROWS - TRAINED - 2


@pytest.mark.real
def test_the_published_fine_tune_took_three_hundred_steps(family: Path) -> None:
    with (
        open_checkpoint(family / "B") as suspect,
        open_checkpoint(family / "O") as base,
        open_checkpoint(family / "A") as other,
    ):
        (found,) = measure_quiet_rows(align(suspect, [base, other]), [suspect, base, other])
        assert measure_quiet_rows(align(base, [suspect]), [base, suspect]) == ()
    assert (found.model, found.rows, found.quiet, found.exact_rows) == (1, 30_522, 30_349, 30_349)
    assert isinstance(found.schedule, str)
    assert found.schedule.startswith(
        "300 steps of a 400-step linear schedule, warm-up 100, learning rate 2e-05, weight decay 0.01"
    )
    assert (found.steps, found.learning_rate, found.weight_decay) == (300, 2e-5, 0.01)
    assert found.neighbours_rejected
