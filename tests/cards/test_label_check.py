"""A label is verified: what agrees is said to, and each thing that does not is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from parentage.records.merge import MergeRecord
from tests.cards.labelled import changed_json, copy_of, flip
from tests.cli.running import Run

Labelled = tuple[Path, MergeRecord]
FIRST = "model-00001-of-00002.safetensors"


def codes(run: Run, folder: Path) -> dict[str, list[str]]:
    """Mismatches by file, of a verification that must end with 5, its first code on standard error."""
    done = run("label", "verify", folder, "--json")
    assert done.code == 5
    found: dict[str, list[str]] = {}
    listed = json.loads(done.out)["mismatches"]
    for one in listed:
        found.setdefault(one["file"], []).append(one["code"])
    assert done.error == listed[0]["code"]
    return found


def test_a_fresh_label_agrees_with_its_files_and_says_what_that_does_not_prove(
    labelled: Labelled, run: Run
) -> None:
    done = run("label", "verify", labelled[0])
    assert (done.code, done.err) == (0, "")
    # Two weight files, the config and the tokenizer.
    assert len(labelled[1].files) == 2
    assert "the label agrees with its files (4 hashed)" in done.out
    assert labelled[1].recipe_sha256 in done.out
    assert "does not prove that the parents are what their names say" in done.out


def test_one_changed_bit_of_a_weight_is_named_with_both_digests(
    labelled: Labelled, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    flip(out / FIRST)
    assert codes(run, out) == {FIRST: ["label-file-changed"]}
    text = run("label", "verify", out).out
    assert str(labelled[1].files[0].sha256) in text
    assert "by parentage.json and parentage.intoto.json" in text


def test_a_changed_config_is_named(labelled: Labelled, run: Run, tmp_path: Path) -> None:
    out = copy_of(labelled[0], tmp_path)
    (out / "config.json").write_text("{}")
    assert codes(run, out) == {"config.json": ["label-file-changed"]}


def test_a_missing_and_an_extra_weight_file_are_named(labelled: Labelled, run: Run, tmp_path: Path) -> None:
    out = copy_of(labelled[0], tmp_path)
    (out / FIRST).rename(out / "other.safetensors")
    found = codes(run, out)
    assert found[FIRST] == ["label-file-missing"]
    assert found["other.safetensors"] == ["label-file-extra"]


def drop_relation(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("base_model_relation: merge", "base_model_relation: finetune"))


def other_recipe(folder: Path) -> None:
    path = folder / "merge-recipe.yaml"
    path.write_text(path.read_text().replace("0.6", "0.7"))


def other_metadata(folder: Path) -> None:
    path = folder / FIRST
    path.write_bytes(
        path.read_bytes().replace(b'"parentage.method":"linear"', b'"parentage.method":"lineal"')
    )


def index_elsewhere(folder: Path) -> None:
    path = folder / "model.safetensors.index.json"
    changed_json(path, lambda t: t["weight_map"].update({"model.norm.weight": FIRST}))


SPOILT: dict[str, tuple[Callable[[Path], None], dict[str, list[str]]]] = {
    "statement": (
        lambda f: changed_json(
            f / "parentage.intoto.json", lambda t: t["predicate"]["parents"][0].update(share=0.9)
        ),
        {"parentage.intoto.json": ["label-statement-differs"]},
    ),
    "statement-gone": (
        lambda f: (f / "parentage.intoto.json").unlink(),
        {"parentage.intoto.json": ["label-part-missing"]},
    ),
    "materials": (
        lambda f: changed_json(f / "parentage.cdx.json", lambda t: t.update(version=2)),
        {"parentage.cdx.json": ["label-materials-differ"]},
    ),
    "card": (drop_relation, {"README.md": ["label-card-differs"]}),
    "card-gone": (lambda f: (f / "README.md").unlink(), {"README.md": ["label-card-differs"]}),
    "recipe": (other_recipe, {"merge-recipe.yaml": ["label-recipe-differs"]}),
    "metadata": (other_metadata, {FIRST: ["label-file-changed", "label-header-differs"]}),
    "index": (index_elsewhere, {"model.safetensors.index.json": ["label-index-differs"]}),
}


@pytest.mark.parametrize("what", SPOILT)
def test_each_part_of_a_label_that_says_otherwise_is_named(
    what: str, labelled: Labelled, run: Run, tmp_path: Path
) -> None:
    spoil, expected = SPOILT[what]
    out = copy_of(labelled[0], tmp_path)
    spoil(out)
    assert codes(run, out) == expected


def test_a_record_that_was_changed_is_caught_by_all_that_follows_from_it(
    labelled: Labelled, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    changed_json(out / "parentage.json", lambda t: t["recipe"].update(name="another"))
    found = codes(run, out)
    assert "label-recipe-differs" in found["parentage.json"]
    assert found["parentage.intoto.json"] == ["label-statement-differs"]


def test_words_of_a_card_may_be_edited_and_its_claims_may_not(
    labelled: Labelled, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    card = out / "README.md"
    card.write_text(card.read_text() + "\nThanks to all.\n")
    done = run("label", "verify", out)
    assert done.code == 0
    assert "README.md was edited" in done.out
    card.write_text(card.read_text().replace(labelled[1].recipe_sha256, "0" * 64))
    assert codes(run, out) == {"README.md": ["label-card-differs"]}


def test_what_the_label_says_nothing_of_is_listed(labelled: Labelled, run: Run, tmp_path: Path) -> None:
    out = copy_of(labelled[0], tmp_path)
    (out / "modeling.py").write_text("print()")
    done = run("label", "verify", out)
    assert done.code == 0
    assert "the label says nothing of: modeling.py" in done.out


def test_no_label_and_no_folder_are_told_apart(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    done = run("label", "verify", tmp_path / "bare")
    assert (done.code, done.error) == (5, "label-missing")
    done = run("label", "verify", tmp_path / "nowhere")
    assert (done.code, done.error) == (3, "input-missing")


@pytest.mark.parametrize(
    "name", ["../precious", "/etc/hostname", "a/../../b", "", "a\\b", "x\n", "./model.safetensors"]
)
def test_a_label_cannot_have_files_elsewhere_looked_at(
    name: str, labelled: Labelled, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    changed_json(out / "parentage.json", lambda t: t["files"][0].update(name=name))
    done = run("label", "verify", out)
    assert (done.code, done.error) == (5, "label-malformed")


def test_a_link_out_of_the_folder_is_not_followed(labelled: Labelled, run: Run, tmp_path: Path) -> None:
    out = copy_of(labelled[0], tmp_path)
    (tmp_path / "elsewhere").write_bytes((out / FIRST).read_bytes())
    (out / FIRST).unlink()
    (out / FIRST).symlink_to(tmp_path / "elsewhere")
    done = run("label", "verify", out)
    assert (done.code, done.error) == (3, "link-escapes")


@pytest.mark.parametrize("text", ["[]", "{", '{"schema": "parentage.merge", "version": 1}'])
def test_a_record_that_is_none_is_one_clear_error(
    text: str, labelled: Labelled, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    (out / "parentage.json").write_text(text)
    done = run("label", "verify", out)
    assert (done.code, done.error) == (5, "label-malformed")


def test_a_folder_of_too_many_files_is_refused(
    labelled: Labelled, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parentage.cards.folder_files.MOST_FILES", 3)
    done = run("label", "verify", labelled[0])
    assert (done.code, done.error) == (5, "label-too-many-files")


def test_a_card_full_of_aliases_is_read_at_once(labelled: Labelled, run: Run, tmp_path: Path) -> None:
    """Were they followed, the list would have 10^16 entries."""
    out = copy_of(labelled[0], tmp_path)
    lines = [
        "a0: &a0 {x: y}",
        *(f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}" for k in range(1, 17)),
    ]
    card = out / "README.md"
    card.write_text(card.read_text().replace("---\n", "---\n" + "\n".join(lines) + "\n", 1))
    assert run("label", "verify", out).code == 0
