"""The chat template of a merge: the parents' commonest, the recipe's own, or none; never two at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.behaviour.templates.sandbox import Refused, Sandbox
from parentage.errors import PlanError
from parentage.merging.named_templates import NAMED
from tests.merging.models import recipe_file
from tests.merging.test_merge import linear, two
from tests.worlds.fixtures import FOLDER

FOUND = json.loads((FOLDER / "recipes/chat_templates.json").read_text())
FIRST = "{% for m in messages %}<a>{{ m.content }}{% endfor %}"
SECOND = "{% for m in messages %}<b>{{ m.content }}{% endfor %}"


def three(tmp_path: Path) -> list[Path]:
    """Models with a template in the tokenizer's config, in a file of its own, and in both places."""
    models = [*two(tmp_path), two(tmp_path / "more")[0]]
    config = {"model_max_length": 64, "chat_template": FIRST}
    (models[0] / "tokenizer_config.json").write_text(json.dumps(config))
    (models[1] / "chat_template.jinja").write_text(SECOND + "\n")
    (models[2] / "tokenizer_config.json").write_text(json.dumps(config))
    (models[2] / "chat_template.jinja").write_text(SECOND + "\n")
    return models


def merged(tmp_path: Path, models: list[Path], **more: str) -> Path:
    """Of the first, with its tokenizer's files."""
    path = recipe_file(tmp_path, linear(*((m, 1.0) for m in models), base_model=str(models[0]), **more))
    api.merge(path, tmp_path / "out")
    return tmp_path / "out"


def test_auto_takes_what_most_parents_have_and_leaves_no_other_beside_it(tmp_path: Path) -> None:
    out = merged(tmp_path, three(tmp_path), chat_template="auto")
    assert (out / "chat_template.jinja").read_text().strip() == SECOND
    assert json.loads((out / "tokenizer_config.json").read_text()) == {"model_max_length": 64}


def test_of_equally_common_templates_the_first_parents_is_taken(tmp_path: Path) -> None:
    out = merged(tmp_path, three(tmp_path)[:2], chat_template="auto")
    assert (out / "chat_template.jinja").read_text().strip() == FIRST


def test_a_template_in_the_recipe_is_written_as_it_stands(tmp_path: Path) -> None:
    own = "{{ messages[0].content }}!"
    out = merged(tmp_path, three(tmp_path), chat_template=own)
    assert (out / "chat_template.jinja").read_text().strip() == own
    assert "chat_template" not in json.loads((out / "tokenizer_config.json").read_text())


def test_without_a_word_in_the_recipe_the_bases_files_stay_as_they_are(tmp_path: Path) -> None:
    models = three(tmp_path)
    out = merged(tmp_path, models)
    assert not (out / "chat_template.jinja").exists()
    name = "tokenizer_config.json"
    assert (out / name).read_bytes() == (models[0] / name).read_bytes()


def test_a_name_that_nobody_knows_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="neither auto, nor a name that is known") as raised:
        merged(tmp_path, three(tmp_path), chat_template="vicuna")
    assert raised.value.code == "plan-chat-template"
    assert not (tmp_path / "out").exists()


def test_a_template_by_name_is_written_whole(tmp_path: Path) -> None:
    out = merged(tmp_path, three(tmp_path), chat_template="chatml")
    assert (out / "chat_template.jinja").read_text().strip() == NAMED["chatml"]
    assert "chat_template" not in json.loads((out / "tokenizer_config.json").read_text())


def _prompt(row: dict[str, Any]) -> str:
    """As transformers renders a template, in the sandbox for those of others."""
    template = Sandbox().from_string(NAMED[row["name"]])
    return template.render(
        messages=row["messages"],
        add_generation_prompt=row["opened"],
        bos_token=FOUND["bos_token"],
        eos_token=FOUND["eos_token"],
    )


@pytest.mark.parametrize("name", ["chatml", "mistral"])
def test_named_templates_give_the_prompts_that_mergekits_give(name: str) -> None:
    rows = [r for r in FOUND["prompts"] if r["name"] == name]
    assert len(rows) == 10
    for row in rows:
        assert _prompt(row) == row["prompt"]


@pytest.mark.parametrize(
    ("name", "mended"),
    [
        ("llama3", lambda text: text.replace("<|eot_id|>\n", "<|eot_id|>")),
        ("exaone", lambda text: re.sub(r"\s+(?=\[\||\Z)", "", text)),
    ],
)
def test_the_others_are_the_formats_without_the_blanks_that_mergekits_templates_add(
    name: str, mended: Callable[[str], str]
) -> None:
    rows = [r for r in FOUND["prompts"] if r["name"] == name]
    assert len(rows) == 10
    for row in rows:
        made = _prompt(row)
        assert made != row["prompt"]
        assert mended(made) == mended(row["prompt"])


def test_alpaca_opens_an_answer_after_a_blank_line() -> None:
    (row,) = (
        r for r in FOUND["prompts"] if r["name"] == "alpaca" and len(r["messages"]) == 4 and r["opened"]
    )
    assert _prompt(row) == (
        "Answer in verse.\n\n### Instruction:\nWhat is the tide?\n\n### Response:\nWater that comes and "
        "goes.\n\n### Instruction:\nAnd the moon?\nBriefly.\n\n### Response:\n"
    )
    assert row["prompt"].endswith("Briefly.### Response:\n")


def test_mistrals_turns_must_alternate() -> None:
    turns = [{"role": "user", "content": "a"}] * 2
    with pytest.raises(Refused, match="take turns"):
        _prompt({"name": "mistral", "messages": turns, "opened": False})
