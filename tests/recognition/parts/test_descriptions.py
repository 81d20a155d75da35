"""Settings and regions are the shortest that say what the tensors say."""

from __future__ import annotations

import numpy as np
import pytest

from parentage.evidence.recognition.parts.courses import Point, descriptions
from parentage.evidence.recognition.parts.regions import holds, regions
from parentage.merging.parameters import evaluate
from parentage.methods.registry import method
from parentage.records.absence import Absent
from parentage.records.recipe import Clause, Setting

LAYERS = 7
NAMES = ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")


def points(setting: Setting, slack: float = 0.002, off: float = 0.0) -> list[Point]:
    """What a recipe's setting comes to in each tensor; ``off`` beside it."""
    declared = next(d for d in method("slerp").parameters if d.name == "t")
    found = []
    for layer in range(LAYERS):
        for k, part in enumerate(NAMES):
            name, depth = f"model.layers.{layer}.{part}.weight", layer / (LAYERS - 1)
            value = evaluate(setting, declared, name, depth)
            assert isinstance(value, float)
            found.append(Point(name, depth, value + (off if k % 2 else -off), slack))
    return found


@pytest.mark.parametrize(
    "clauses",
    [
        (Clause(0.35),),
        (Clause((0.2, 0.8)),),
        (Clause((0.0, 0.5, 0.3, 0.7, 1.0)),),
        (Clause(0.7, "self_attn"), Clause(0.4)),
        (Clause((0.1, 0.9), "mlp"), Clause((0.6, 0.2, 0.4))),
    ],
)
def test_a_setting_comes_back_from_what_it_makes(clauses: tuple[Clause, ...]) -> None:
    told = list(descriptions(points(Setting(clauses), off=0.0005)))
    alike = {
        frozenset((c.value, tuple(sorted(_covers(c, clauses_)))) for c in clauses_) for clauses_ in told
    }
    assert frozenset((c.value, tuple(sorted(_covers(c, clauses)))) for c in clauses) in alike
    assert len(told[0]) == len(clauses)


def _covers(clause: Clause, clauses: tuple[Clause, ...]) -> list[str]:
    """Which kinds of tensors a clause is for, whichever of them is named."""
    first = [next(c for c in clauses if c.filter is None or c.filter in n) for n in NAMES]
    return [n for n, c in zip(NAMES, first, strict=True) if c == clause]


def test_numbers_without_a_course_have_no_description() -> None:
    rng, layers = np.random.default_rng(3), 10
    wild = [
        Point(f"model.layers.{k}.{part}.weight", k / (layers - 1), float(rng.random()), 1e-4)
        for k in range(layers)
        for part in NAMES
    ]
    assert list(descriptions(wild)) == []


def made(where: dict[int, tuple[range, str]], rest: int) -> dict[str, frozenset[int]]:
    found = {}
    for layer in range(LAYERS):
        for part in (*NAMES, "input_layernorm"):
            name = f"model.layers.{layer}.{part}.weight"
            own = next((k for k, (r, f) in where.items() if layer in r and f in name), rest)
            found[name] = frozenset({own})
    return found


LAYER_OF = {n: int(n.split(".")[2]) for n in made({}, 0)}


@pytest.mark.parametrize(
    "where",
    [
        {0: (range(0, 3), "")},
        {0: (range(0, LAYERS), "self_attn")},
        {0: (range(2, 5), "mlp")},
        {0: (range(0, 2), ""), 2: (range(2, 5), "")},
    ],
)
def test_regions_give_every_tensor_to_the_part_that_makes_it(where: dict[int, tuple[range, str]]) -> None:
    own = made(where, 1)
    told = regions(own, LAYER_OF, len(where) + 1)
    assert told is not None
    for name, parts in own.items():
        part = next(p for p, region in told if holds(region, name, LAYER_OF[name]))
        assert part in parts
    assert not any(region.tensors for _, region in told)


def test_a_tensor_that_two_parts_make_does_not_break_a_range() -> None:
    own = made({0: (range(0, 3), "")}, 1)
    norm = "model.layers.1.input_layernorm.weight"
    own[norm] = frozenset({0, 1})
    told = regions(own, LAYER_OF, 2)
    assert told is not None
    assert [region.layers for _, region in told if not isinstance(region.layers, Absent)]


def test_single_tensors_are_listed_where_nothing_else_tells_them_apart() -> None:
    own = made({}, 1)
    odd = ["model.layers.1.mlp.up_proj.weight", "model.layers.4.self_attn.q_proj.weight"]
    for name in odd:
        own[name] = frozenset({0})
    told = regions(own, LAYER_OF, 2)
    assert told is not None
    assert sorted(told[0][1].tensors) == odd
