"""Layers inserted, dropped, repeated and reordered: told as what they are, and never as a copy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Report
from parentage.reports.html import render as render_html
from parentage.reports.layer_map import layer_runs
from parentage.reports.terminal import render_text
from tests.worlds.planted import Model, Truth, Weights, World, audited, stored, values_of
from tests.worlds.quantised import family as family_of
from tests.worlds.quantised import write_plain, write_quantised

LAYERS = 6
A = "A.safetensors"
ROLES = {"self_attn.q_proj": (48, 48), "mlp.up_proj": (96, 48), "mlp.down_proj": (48, 96)}


def base(seed: int = 0, layers: int = LAYERS) -> Weights:
    rng = np.random.default_rng(seed)
    found = {
        f"model.layers.{k}.{role}.weight": 0.02 * rng.standard_normal(shape)
        for k in range(layers)
        for role, shape in ROLES.items()
    }
    found |= {f"model.layers.{k}.input_layernorm.weight": 1 + 0.1 * rng.random(48) for k in range(layers)}
    return {**found, "model.embed_tokens.weight": 0.02 * rng.standard_normal((200, 48))}


def tuned(weights: Weights, seed: int = 1, size: float = 4e-4) -> Weights:
    rng = np.random.default_rng(seed)
    return {n: v + size * rng.standard_normal(v.shape) for n, v in weights.items()}


def stacked(sources: list[tuple[Model, int]], rest: Model) -> Model:
    """A layer for each (model, number); everything else from ``rest``."""
    found = {n: t for n, t in rest.items() if ".layers." not in n}
    for k, (model, number) in enumerate(sources):
        part = f"model.layers.{number}."
        found |= {n.replace(part, f"model.layers.{k}."): t for n, t in model.items() if n.startswith(part)}
    return found


def report(
    suspect: Model, parents: Mapping[str, Model], controls: Mapping[str, Model] | None = None
) -> Report:
    world = World(suspect, tuple(parents.items()), tuple((controls or {}).items()), Truth("", "", 0, False))
    return audited(world).report


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    root = base()
    return {
        "A": stored(tuned(root), DType.BF16),
        "O": stored(root, DType.BF16),
        "stranger": stored(base(7), DType.BF16),
    }


def numbers(found: Report) -> list[tuple[int, str, int]]:
    """(suspect's layer, model, its layer) for each layer that is copied."""
    assert not isinstance(found.layers, Absent)
    return [
        (p.layer, o.model.removesuffix(".safetensors"), o.number)
        for p in found.layers
        for o in p.origins
        if o.copied and isinstance(o.number, int)
    ]


def test_a_frankenmerge_of_two_is_told_layer_by_layer(models: dict[str, Model]) -> None:
    made = [("A", 0), ("A", 1), ("A", 2), ("A", 3), ("O", 2), ("O", 3), ("O", 4), ("O", 5)]
    suspect = stacked([(models[m], n) for m, n in made], models["A"])
    found = report(suspect, {"A": models["A"], "O": models["O"]})
    assert (found.verdict.relation, found.verdict.status) == ("passthrough-merge", "supported")
    assert numbers(found) == [(k, m, n) for k, (m, n) in enumerate(made)]
    runs = [(r.own, r.source, r.theirs, r.copied) for r in layer_runs(found)]
    assert runs == [("0–3", "A.safetensors", "0–3", True), ("4–7", "O.safetensors", "2–5", True)]
    text = render_text(found)
    assert "model.layers 4–7" in text
    assert "put together from layers of" in found.verdict.sentence
    assert '<td class="m0">5</td>' in render_html(found)


@pytest.mark.parametrize(
    "order",
    [[0, 1, 2, 3, 2, 3, 4, 5], [0, 1, 2, 3], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [0, 1, 1, 2, 3, 4, 5]],
    ids=["repeated", "last-dropped", "first-dropped", "reversed", "one-repeated"],
)
def test_one_models_layers_in_another_order_are_no_copy(order: list[int], models: dict[str, Model]) -> None:
    suspect = stacked([(models["A"], n) for n in order], models["A"])
    if order[0]:
        suspect = stored(values_of(suspect), DType.F16)
    found = report(suspect, {"A": models["A"]}, {"O": models["O"]})
    assert (found.verdict.relation, found.verdict.status) == ("passthrough-merge", "supported")
    assert [p.name for p in found.verdict.parents] == ["A.safetensors"]
    assert [(k, n) for k, m, n in numbers(found) if m == "A"] == list(enumerate(order))


def test_a_copy_keeps_its_layers_by_number_and_has_no_map(models: dict[str, Model]) -> None:
    found = report(models["A"], {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation == "copy"
    assert isinstance(found.layers, Absent)


def test_a_merge_of_the_same_layers_has_no_map(models: dict[str, Model]) -> None:
    a, o = values_of(models["A"]), values_of(models["O"])
    blend = {
        n: StoredTensor(DType.BF16, v.shape, round_to((0.6 * v + 0.4 * o[n]).ravel(), DType.BF16))
        for n, v in a.items()
    }
    found = report(blend, {"A": models["A"], "O": models["O"]})
    assert found.verdict.relation == "linear-merge"
    assert isinstance(found.layers, Absent)


def test_a_merge_of_reordered_layers_is_a_merge_that_says_so(models: dict[str, Model]) -> None:
    order = [0, 1, 2, 3, 2, 3, 4, 5]
    a, o = (values_of(stacked([(models[m], n) for n in order], models[m])) for m in "AO")
    blend = {
        n: StoredTensor(DType.BF16, v.shape, round_to((0.6 * v + 0.4 * o[n]).ravel(), DType.BF16))
        for n, v in a.items()
    }
    found = report(blend, {"A": models["A"], "O": models["O"]})
    assert (found.verdict.relation, found.verdict.status) == ("linear-merge", "supported")
    assert any(f"not simply those of {A}" in limit for limit in found.verdict.limits)
    assert numbers(found) == []


@pytest.mark.parametrize("layers", [LAYERS, 9])
def test_a_stranger_is_not_matched_by_content(layers: int, models: dict[str, Model]) -> None:
    found = report(stored(base(11, layers), DType.BF16), {"A": models["A"], "O": models["O"]})
    assert found.verdict.relation == "independent"
    assert isinstance(found.layers, Absent)


def test_a_layer_that_was_put_in_anew_meets_nothing(models: dict[str, Model]) -> None:
    made = [("A", 0), ("A", 1), ("stranger", 0), ("A", 2), ("A", 3), ("A", 4), ("A", 5)]
    suspect = stacked([(models[m], n) for m, n in made], models["A"])
    found = report(suspect, {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation == "passthrough-merge"
    assert "what its layers 2 are, no model given tells" in found.verdict.sentence
    runs = [(r.own, r.source, r.theirs) for r in layer_runs(found)]
    assert (runs[0], runs[2]) == (("0–1", A, "0–1"), ("3–6", A, "2–5"))
    assert isinstance(runs[1][1], Absent)
    missed = {(n.tensor, n.reason) for n in found.coverage.not_examined}
    assert ("model.layers.2.mlp.up_proj.weight", f"{A}: no layer of it is like this one") in missed


def test_a_layer_in_place_of_another_keeps_the_others_by_number(models: dict[str, Model]) -> None:
    made = [("A", 0), ("A", 1), ("stranger", 2), ("A", 3), ("A", 4), ("A", 5)]
    suspect = stacked([(models[m], n) for m, n in made], models["A"])
    found = report(suspect, {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation not in ("copy", "cast-copy", "passthrough-merge")
    assert isinstance(found.layers, Absent)


def test_layers_of_an_upscaled_parent_that_are_one_anothers_copies_stay_in_place(
    models: dict[str, Model],
) -> None:
    parent = stacked([(models["A"], n) for n in (0, 1, 2, 3, 2, 3, 4, 5)], models["A"])
    suspect = stored(tuned(values_of(parent), 5), DType.BF16)
    found = report(suspect, {"parent": parent}, {"O": models["O"]})
    assert not isinstance(found.layers, Absent)
    for place in found.layers:
        (own,) = [o for o in place.origins if o.model == "parent.safetensors"]
        assert own.number == place.layer


def test_evidence_of_a_map_is_derived_again(models: dict[str, Model], tmp_path: Path) -> None:
    suspect = stacked([(models["A"], n) for n in (0, 1, 2, 3, 2, 3)], models["A"])
    write_safetensors(tmp_path / "s.safetensors", suspect)
    write_safetensors(tmp_path / "a.safetensors", models["A"])
    result = api.audit(str(tmp_path / "s.safetensors"), parents=[str(tmp_path / "a.safetensors")])
    api.save_evidence(result.evidence, tmp_path / "evidence.json")
    assert api.load_evidence(tmp_path / "evidence.json") == result.evidence
    assert api.verify(tmp_path / "evidence.json").holds


def test_repeated_layers_of_a_quantised_model_are_no_quantised_copy(tmp_path: Path) -> None:
    planted = family_of(3, deltas={"A": 0.03})
    part = "model.layers.{}.mlp.up_proj.weight"
    again = {part.format(k): planted["A"][part.format(n)] for k, n in enumerate((0, 1, 2, 1, 2, 3))}
    rest = {n: v for n, v in planted["A"].items() if "layers" not in n}
    suspect = write_quantised(tmp_path / "q", {**again, **rest}, "Q8_0")
    parents = [write_plain(tmp_path / name, planted[name]) for name in ("A", "O")]
    verdict = api.audit(suspect, parents=parents, digests=False).report.verdict
    assert not (verdict.relation == "quantized-copy" and verdict.status == "supported")
    assert any(
        "number by number: layers 0–2 from 0–2, 3–5 from 1–3" in str(r.why_excluded) for r in verdict.rivals
    )


@pytest.mark.slow
@pytest.mark.real
def test_a_real_frankenmerge_of_two_fine_tunes(family: Path, tmp_path: Path) -> None:
    made = [("A", 0), ("A", 1), ("A", 2), ("A", 3), ("O", 2), ("O", 3), ("O", 4), ("O", 5)]
    tensors: dict[str, StoredTensor] = {}
    with open_checkpoint(family / "A") as a, open_checkpoint(family / "O") as o:
        opened = {"A": a, "O": o}

        def keep(model: str, name: str, under: str) -> None:
            ref = opened[model].tensors[name]
            bits = opened[model].read(name, 0, ref.elements)
            tensors[under] = StoredTensor(ref.dtype, tuple(ref.shape), bits)

        for name in a.tensors:
            if ".layer." not in name:
                keep("A", name, name)
        for k, (model, number) in enumerate(made):
            for name in a.tensors:
                if f".layer.{number}." in name:
                    keep(model, name, name.replace(f".layer.{number}.", f".layer.{k}."))
    write_safetensors(tmp_path / "model.safetensors", tensors, {"format": "pt"})
    parents = [str(family / m) for m in "AO"]
    found = api.audit(
        str(tmp_path), parents=parents, controls=[str(family / "B")], sample=4_096, digests=False
    ).report
    assert (found.verdict.relation, found.verdict.status) == ("passthrough-merge", "supported")
    assert numbers(found) == [(k, m, n) for k, (m, n) in enumerate(made)]
