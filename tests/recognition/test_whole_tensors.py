"""What is read whole over a network for merge methods: as many tensors as are paid for, by price."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from parentage.architectures.alignment import align
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.costs import Cost
from parentage.evidence.recognition.whole_tensors import METHODS, WholeTensors, left_for_methods
from parentage.evidence.sampling.reading_plan import ReadingBudget
from parentage.records.dtypes import DType
from tests.worlds.planted import stored

ROWS = {"c": 64, "a": 96, "b": 128, "d": 512}
WIDTH, BYTES = 64, 2
PRICE = {n: 2 * rows * WIDTH * BYTES for n, rows in ROWS.items()}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[WholeTensors]:
    """Of two models that are read by range; nothing may be spent yet."""
    rng = np.random.default_rng(0)
    with ExitStack() as stack:
        checkpoints = []
        for name in ("s", "o"):
            weights = {f"{n}.weight": rng.standard_normal((rows, WIDTH)) for n, rows in ROWS.items()}
            write_safetensors(tmp_path / f"{name}.safetensors", stored(weights, DType.BF16))
            checkpoints.append(stack.enter_context(open_checkpoint(tmp_path / f"{name}.safetensors")))
            checkpoints[-1].as_remote = True
        groups = {g.name: g for g in align(checkpoints[0], checkpoints[1:]).groups}
        yield WholeTensors(groups, checkpoints, Cost(0, 100))


def limited(opened: WholeTensors, nbytes: int, named: tuple[str, ...] | None = None) -> WholeTensors:
    return WholeTensors(opened.groups, opened.checkpoints, Cost(nbytes, 100), named)


def test_others_are_taken_from_the_smallest_up_as_far_as_the_purse_holds(opened: WholeTensors) -> None:
    whole = limited(opened, PRICE["b"] + PRICE["c"] + PRICE["a"] + PRICE["d"] - 1)
    assert whole.take("b.weight", (1,), now=True)
    whole.rest((1,))
    assert whole.names == ["b.weight", "c.weight", "a.weight"]


def test_a_tensor_that_is_too_dear_is_not_taken_and_its_price_is_told(opened: WholeTensors) -> None:
    whole = limited(opened, PRICE["c"] - 1)
    assert not whole.take("c.weight", (1,), now=True)
    assert whole.names == []
    assert whole.price(["c.weight", "d.weight"], (1,)).nbytes == PRICE["c"] + PRICE["d"]


def test_evidence_that_names_tensors_is_derived_from_these_whatever_they_cost(opened: WholeTensors) -> None:
    whole = limited(opened, 0, ("a.weight", "d.weight"))
    assert not whole.take("c.weight", (1,), now=True)
    assert whole.take("d.weight", (1,), now=True)
    whole.rest((1,))
    assert whole.names == ["d.weight", "a.weight"]


def test_methods_get_what_the_sample_leaves_of_the_budget_and_without_one_no_more_than_is_usual() -> None:
    spent = Cost(40_000_000, 100)
    assert left_for_methods(None, spent) == METHODS
    assert left_for_methods(None, Cost(96_000_000, 14_500)).nbytes == 1_000_000
    assert left_for_methods(ReadingBudget(10**9, None), spent).nbytes == 930_000_000
    assert left_for_methods(ReadingBudget(30_000_000, None), spent).nbytes == 0
