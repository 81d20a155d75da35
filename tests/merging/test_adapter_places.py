"""``model+adapter`` in a recipe and in an audit: the model that the two make."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.cards.model_card import licence_notes
from parentage.errors import CheckpointError, UsageError
from parentage.evidence.inputs.opening import wanted_models
from parentage.records.evidence import ModelRole
from tests.merging.models import bits_of, llama, recipe_file, write_model
from tests.worlds.fixtures import FOLDER

BASE, ADAPTERS = FOLDER / "mergekit" / "O.safetensors", FOLDER / "adapters"


def theirs(kind: str) -> dict[str, Any]:
    """What peft made of the base: its own tensors, and the base's where they did not change."""
    changed = {
        n.removeprefix(f"{kind}/"): v
        for n, v in bits_of(ADAPTERS / "merged.safetensors").items()
        if n.startswith(f"{kind}/")
    }
    return {**bits_of(BASE), **changed}


@pytest.mark.parametrize("form", ["short", "long"])
def test_a_merge_takes_an_adapter_in_as_peft_does(form: str, tmp_path: Path) -> None:
    lora = ADAPTERS / "lora"
    model: Any = f"{BASE}+{lora}" if form == "short" else {"model": str(BASE), "lora": str(lora)}
    recipe = {"merge_method": "passthrough", "models": [{"model": model}]}
    done = api.merge(recipe_file(tmp_path, recipe), tmp_path / "out", api.MergeOptions())
    assert bits_of(tmp_path / "out") == theirs("lora")
    assert [f.name for f in done.parents[0].files] == [
        "O.safetensors",
        "adapter/adapter_model.safetensors",
    ]


def test_a_merge_of_adapters_is_that_of_the_merged_models(tmp_path: Path) -> None:
    folders = {}
    for kind in ("lora", "rslora"):
        folders[kind] = tmp_path / kind
        folders[kind].mkdir()
        merged = {"merge_method": "passthrough", "models": [{"model": f"{BASE}+{ADAPTERS / kind}"}]}
        api.merge(recipe_file(tmp_path / f"r-{kind}", merged), folders[kind] / "m", api.MergeOptions())
    outs = []
    for label, places in (
        ("over", [f"{BASE}+{ADAPTERS / k}" for k in folders]),
        ("whole", [str(folders[k] / "m") for k in folders]),
    ):
        recipe = {
            "merge_method": "linear",
            "models": [{"model": p, "parameters": {"weight": 0.5}} for p in places],
        }
        api.merge(recipe_file(tmp_path / f"t-{label}", recipe), tmp_path / label, api.MergeOptions())
        outs.append(bits_of(tmp_path / label))
    assert outs[0] == outs[1]
    assert outs[0] != bits_of(BASE)


def test_an_adapter_of_another_model_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    other = write_model(tmp_path / "llama", llama(1))
    recipe = {"merge_method": "passthrough", "models": [{"model": f"{other}+{ADAPTERS / 'lora'}"}]}
    with pytest.raises(CheckpointError) as raised:
        api.merge(recipe_file(tmp_path, recipe), tmp_path / "out", api.MergeOptions())
    assert raised.value.code == "adapter-other-model"
    assert not (tmp_path / "out").exists()


def test_an_output_inside_the_adapter_is_refused(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(ADAPTERS / "lora", adapter)
    recipe = {"merge_method": "passthrough", "models": [{"model": f"{BASE}+{adapter}"}]}
    with pytest.raises(UsageError) as raised:
        api.merge(recipe_file(tmp_path, recipe), adapter / "out", api.MergeOptions())
    assert raised.value.code == "merge-output-is-input"


def test_an_adapter_alone_stands_for_what_it_makes_of_the_base() -> None:
    base, lora = str(BASE), str(ADAPTERS / "lora")
    wanted = wanted_models("S", [lora], [], base, None)
    assert [(w.place, w.role) for w in wanted][1:] == [
        (f"{base}+{lora}", ModelRole.PARENT),
        (base, ModelRole.BASE),
    ]
    assert wanted_models("S", [base, lora], [], None, None)[2].place == f"{base}+{lora}"
    for parents in ([lora], [base, "other", lora]):
        with pytest.raises(UsageError) as raised:
            wanted_models("S", parents, [], None, None)
        assert raised.value.code == "usage-adapter-alone"


def test_an_audit_reads_a_base_with_an_adapter_as_one_model(tmp_path: Path) -> None:
    recipe = {"merge_method": "passthrough", "models": [{"model": f"{BASE}+{ADAPTERS / 'dora'}"}]}
    api.merge(recipe_file(tmp_path, recipe), tmp_path / "out", api.MergeOptions())
    report = api.audit(
        str(tmp_path / "out"), parents=[str(ADAPTERS / "dora")], base=str(BASE), workers=1
    ).report
    parent = report.verdict.parents[0]
    assert (parent.name, report.verdict.status) == ("O.safetensors+dora", "supported")
    assert report.verdict.relation == "adapter-fine-tune"
    assert "that very adapter merged in" in report.verdict.sentence


def test_licences_of_base_and_adapter_are_both_told(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    shutil.copy(BASE, base / "model.safetensors")
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    adapter = tmp_path / "adapter"
    shutil.copytree(ADAPTERS / "lora", adapter)
    (adapter / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    recipe = {"merge_method": "passthrough", "models": [{"model": f"{base}+{adapter}"}]}
    done = api.merge(recipe_file(tmp_path, recipe), tmp_path / "out", api.MergeOptions())
    assert done.parents[0].licence == "apache-2.0 (base), cc-by-nc-4.0 (adapter)"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license:" not in card.split("---")[1]
    assert "cc-by-nc-4.0 (adapter)) " in card
    assert any("cc-by-nc" in note for note in licence_notes(done.parents))
