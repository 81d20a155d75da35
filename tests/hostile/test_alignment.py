"""Shapes, names and numbers that no model has: bounded work, and an answer."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from parentage.architectures.unit_orders import undo_orders
from tests.architectures.layouts import Aligned, Arrays, random_model, write

QUERIES = "model.layers.0.self_attn.q_proj.weight"


def aligned(stack: ExitStack, folder: Path, suspect: Arrays, other: Arrays) -> Aligned:
    return Aligned(stack, write(folder / "s", suspect), write(folder / "o", other))


def test_tensors_without_elements_meet_or_are_told(tmp_path: Path) -> None:
    model = random_model("llama")
    empty = {**model, QUERIES: np.zeros((0, 32), np.float32)}
    empty["model.embed_tokens.weight"] = np.zeros((0, 32), np.float32)
    with ExitStack() as stack:
        found = aligned(stack, tmp_path, model, empty)
        assert found.unmatched(1)[QUERIES] == "its shape is [0, 32], the suspect's [32, 32]"
        undo_orders(found.found, found.models)


def test_heads_of_an_empty_tensor_are_refused(tmp_path: Path) -> None:
    model = {
        "blk.0.attn_norm.weight": np.ones(4, np.float32),
        "blk.0.attn_q.weight": np.zeros((0, 4), np.float32),
    }
    other = {**random_model("llama"), QUERIES: np.zeros((0, 4), np.float32)}
    other["model.layers.0.input_layernorm.weight"] = np.ones(4, np.float32)
    with ExitStack() as stack:
        found = aligned(stack, tmp_path, model, other)
        assert "blk.0.attn_norm.weight" in {g.name for g in found.found.groups}


def test_ten_thousand_layers_are_compared_by_number(tmp_path: Path) -> None:
    names = [f"model.layers.{k}.self_attn.q_proj.weight" for k in range(10_000)]
    model: Arrays = dict.fromkeys(names, np.ones((2, 2), np.float32))
    with ExitStack() as stack:
        found = Aligned(stack, write(tmp_path / "s", model), write(tmp_path / "o", model), by_content=True)
        assert found.found.layers == ((),)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e300, np.inf, np.nan, 0.0, 5e-324])
def test_numbers_whose_squares_overflow_move_nothing(value: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model: Arrays = {n: rng.standard_normal(v.shape) for n, v in random_model("llama").items()}
    wild = {n: np.where(rng.random(v.shape) < 0.5, value, v) for n, v in model.items()}
    with ExitStack() as stack:
        found = Aligned(stack, write(tmp_path / "s", model), write(tmp_path / "o", wild), by_content=True)
        after, orders = undo_orders(found.found, found.models)
        assert orders == ()
        assert after.groups == found.found.groups
