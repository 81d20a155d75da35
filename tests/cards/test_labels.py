"""Labels: a merge says what it is made of wherever people and machines look."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from parentage import api
from parentage.cards.bill_of_materials import bill_of_materials
from parentage.cards.model_card import licence_notes, model_card, plain_sentence
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.opening import open_checkpoint
from parentage.merging.recipe_reading import read_recipe
from parentage.records.absence import Absent
from parentage.records.merge import MergeRecord
from tests.merging.models import llama, recipe_file, write_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MergeRecord]:
    """A merge of two models, one of which carries an id and a licence."""
    folder = tmp_path_factory.mktemp("labels")
    a = write_model(folder / "a", llama(1), config={"_name_or_path": "org/first"})
    (a / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# First\n")
    (a / "tokenizer.json").write_text("{}")
    b = write_model(folder / "b", llama(2))
    entries = [
        {"model": str(a), "parameters": {"weight": 0.6}},
        {"model": str(b), "parameters": {"weight": 0.4}},
    ]
    recipe = {"merge_method": "linear", "models": entries, "name": "Two <b>in</b> one"}
    out = folder / "out"
    return out, api.merge(recipe_file(folder, recipe), out, api.MergeOptions(shard_bytes=1500))


def front_and_body(text: str) -> tuple[dict[str, Any], str]:
    """A card's metadata and the rest."""
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_card_says_merge_and_names_the_parents(made: tuple[Path, MergeRecord]) -> None:
    front, body = front_and_body((made[0] / "README.md").read_text())
    assert front["base_model"] == ["org/first"]
    assert front["base_model_relation"] == "merge"
    assert "merge" in front["tags"]
    assert "license" not in front
    assert "60 % org/first and 40 % " in body
    assert "no training was part of it" in body
    assert "| org/first | 60 % | cc-by-nc-4.0 |" in body
    assert "forbids commercial use" in body
    assert "<b>" not in body.replace("\\<", "").split("```yaml")[0]


def test_the_recipe_beside_the_merge_is_the_one_that_was_given(made: tuple[Path, MergeRecord]) -> None:
    out, _ = made
    assert read_recipe(out / "merge-recipe.yaml") == read_recipe(out.parent / "recipe.yaml")


def test_the_statement_names_every_file_by_its_digest(made: tuple[Path, MergeRecord]) -> None:
    out, record = made
    found = json.loads((out / "parentage.intoto.json").read_text())
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    subjects = {s["name"]: s["digest"]["sha256"] for s in found["subject"]}
    assert {"config.json", "tokenizer.json", *(f.name for f in record.files)} == set(subjects)
    for name, digest in subjects.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    parents = found["predicate"]["parents"]
    assert [p["share"] for p in parents] == [0.6, 0.4]
    assert parents[0]["files"][0]["digest"]["sha256"] == record.parents[0].files[0].sha256


def test_the_bill_of_materials_follows_its_schema(made: tuple[Path, MergeRecord]) -> None:
    schema = pytest.importorskip("cyclonedx.schema")
    import jsonschema
    from referencing import Registry, Resource

    folder = Path(schema.__file__).parent / "_res"
    parts = [json.loads((folder / f"{n}.SNAPSHOT.schema.json").read_text()) for n in ("spdx", "jsf-0.82")]
    registry = Registry().with_resources((p["$id"], Resource.from_contents(p)) for p in parts)
    bom = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text())
    check = jsonschema.Draft7Validator(bom, registry=registry)
    found = json.loads((made[0] / "parentage.cdx.json").read_text())
    assert list(check.iter_errors(found)) == []
    # The check sees a document that is wrong.
    assert list(check.iter_errors({**found, "specVersion": 2}))
    assert list(check.iter_errors({**found, "components": [{"type": "model"}]}))


def test_the_bill_of_materials_has_the_parents_as_pedigree(made: tuple[Path, MergeRecord]) -> None:
    found = json.loads((made[0] / "parentage.cdx.json").read_text())
    component = found["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    ancestors = component["pedigree"]["ancestors"]
    assert ancestors[0]["name"] == "org/first"
    files = {c["name"]: c["hashes"][0]["content"] for c in found["components"]}
    assert files == {f.name: f.sha256 for f in made[1].files}


def test_one_merge_has_one_serial_number_and_another_has_another(made: tuple[Path, MergeRecord]) -> None:
    record = made[1]
    again, other = bill_of_materials(record), bill_of_materials(replace(record, recipe_sha256="0" * 64))
    assert again == bill_of_materials(record)
    assert again["serialNumber"] != other["serialNumber"]


def test_an_audit_hears_what_the_label_discloses(made: tuple[Path, MergeRecord]) -> None:
    with open_checkpoint(made[0]) as opened:
        assert {"org/first", "a", "b"} <= set(declared_sources(opened))


def test_names_in_a_card_cannot_be_markup(made: tuple[Path, MergeRecord]) -> None:
    record = made[1]
    bad = replace(record.parents[0], name="x](http://e.vil) | <script>\n# Title", id=Absent("none"))
    text = model_card(replace(record, parents=(bad, *record.parents[1:])))
    body = front_and_body(text)[1].split("```yaml")[0]
    assert "<script>" not in body.replace("\\<", "")
    assert "](http" not in body.replace("\\]", "")
    assert "\n# Title" not in body


def test_a_recipe_cannot_close_its_block(made: tuple[Path, MergeRecord]) -> None:
    record = replace(made[1], recipe={**made[1].recipe, "chat_template": "```\n# Injected {x}"})
    body = front_and_body(model_card(record))[1]
    assert body.count("```") == 2


def test_equal_licences_are_the_merges_and_different_ones_are_pointed_out(
    made: tuple[Path, MergeRecord],
) -> None:
    record = made[1]
    same = replace(record, parents=tuple(replace(p, licence="mit") for p in record.parents))
    assert front_and_body(model_card(same))[0]["license"] == "mit"
    assert licence_notes(same.parents) == ()
    two = (replace(record.parents[0], licence="mit"), replace(record.parents[1], licence="gpl-3.0"))
    assert any("differ" in note for note in licence_notes(two))
    assert any("same licence" in note for note in licence_notes(two))
    assert any("No licence is known" in note for note in licence_notes(record.parents))


def test_a_method_without_shares_claims_none(made: tuple[Path, MergeRecord]) -> None:
    none = Absent("none")
    record = replace(
        made[1], method="slerp", parents=tuple(replace(p, share=none) for p in made[1].parents)
    )
    assert "%" not in plain_sentence(record)
    assert "computed by slerp from" in plain_sentence(record)
