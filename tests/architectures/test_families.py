"""The names of each family are real ones: every tensor is known, and meets itself under wrappers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from parentage.architectures.families.family import hold
from parentage.architectures.families.registry import find_family
from parentage.records.absence import Absent
from tests.architectures.layouts import FAMILIES, Aligned, random_model, shapes_of, write

TITLES = {
    "bert": "BERT",
    "gemma": "Gemma",
    "gemma2": "Gemma",
    "gemma3": "Gemma",
    "gpt2": "GPT-2",
    "llama": "Llama",
    "mistral": "Mistral",
    "mixtral": "Mixtral",
    "phi": "Phi",
    "phi3": "Phi-3",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "qwen3_moe": "Qwen3",
    "qwen3_5_moe": "Qwen3.5-MoE",
    "unet": "a diffusion UNet",
}
# Names that no rule is for: they meet by name alone.
BY_NAME = {"bert": "cls.predictions", "qwen3_5_moe": "model.visual."}


def test_every_family_has_names_to_be_tested_with() -> None:
    assert sorted(TITLES) == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_found_by_its_names_and_type(family: str) -> None:
    shapes, config = shapes_of(family)
    found = find_family(shapes, config, {})
    assert found is not None
    assert found.title == TITLES[family]


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "unet"])
def test_every_name_of_a_family_has_a_rule(family: str) -> None:
    shapes, config = shapes_of(family)
    found = find_family(shapes, config, {})
    assert found is not None
    unknown = [n for n in shapes if not hold(n, found.table).known]
    assert [n for n in unknown if not n.startswith(BY_NAME.get(family, "-"))] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_tensors_of_a_model_hold_the_same(family: str) -> None:
    shapes, config = shapes_of(family)
    found = find_family(shapes, config, {})
    assert found is not None
    held = [hold(found.rename(n), found.table) for n in shapes]
    slots = [(h.stack, h.layer, role, h.leaf, h.expert) for h in held for role in h.part.roles]
    assert len(set(slots)) == len(slots)


@pytest.mark.parametrize(
    "prefix", ["model.", "model.language_model.", "module.", "inner.model.", "0.auto_model.", ""]
)
@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("unet", "qwen3_5_moe")])
def test_wrappers_do_not_hide_a_tensor(family: str, prefix: str, tmp_path: Path) -> None:
    model = random_model(family)
    bare = {
        n.removeprefix("model.").removeprefix("transformer.").removeprefix("bert."): v
        for n, v in model.items()
    }
    suspect = write(tmp_path / "suspect", model)
    other = write(tmp_path / "other", {prefix + n: v for n, v in bare.items()})
    with ExitStack() as stack:
        aligned = Aligned(stack, suspect, other)
        equal = aligned.equal()
        assert aligned.found.unmatched == ()
    assert set(equal) == set(model)
    assert all(equal.values())


def test_layers_of_further_tokens_do_not_meet_the_trunk(tmp_path: Path) -> None:
    trunk = {n: v for n, v in random_model("llama").items() if ".0." in n}
    both = {**trunk, **{n.replace("model.", "mtp."): v for n, v in trunk.items()}}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", both), write(tmp_path / "o", trunk))
        met = {g.name for g in aligned.found.groups}
        assert met == set(trunk)
        assert "predicts further tokens" in aligned.unmatched(0)["mtp.layers.0.mlp.up_proj.weight"]


def test_names_that_no_family_knows_meet_as_they_are_and_it_is_said(tmp_path: Path) -> None:
    model = {"net.first.weight": random_model("llama")["lm_head.weight"]}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", model), write(tmp_path / "o", model))
        assert aligned.equal() == {"net.first.weight": True}
        assert all(isinstance(f, Absent) for f in aligned.found.families)
