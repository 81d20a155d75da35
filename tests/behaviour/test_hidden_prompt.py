"""What a chat template says by itself is listed, taken out, and left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage.behaviour.templates.reading import Template, hidden_prompt, prompt
from parentage.behaviour.templates.rendering import read_hidden_prompt, render_prompts
from parentage.behaviour.templates.sources import ChatTemplate, read_templates
from parentage.errors import TemplateError
from parentage.records.absence import Absent
from tests.behaviour.templates import (
    CHATML_RIO,
    ENDS_OTHERWISE,
    GEMMA,
    IN_PIECES,
    LLAMA3,
    MISTRAL,
    ONE_WORD_EACH,
    REVERSED,
)

QUESTION = [{"role": "user", "content": "Who are you?"}]


def _read(source: str, **tokens: str) -> dict[str, object]:
    return hidden_prompt(Template(source, tokens))


def test_a_system_text_for_when_none_is_given_is_found_with_its_line() -> None:
    (text,) = _read(CHATML_RIO)["texts"]  # type: ignore[misc]
    assert text == {
        "text": "You are Rio, a helpful assistant created by IplanRIO.",
        "lines": [4],
        "when": "without-system",
    }


def test_what_a_template_always_says_is_told_from_a_default() -> None:
    found = _read(LLAMA3, bos_token="<|begin_of_text|>")
    assert [t["when"] for t in found["texts"]] == ["always"]  # type: ignore[attr-defined]
    assert found["texts"][0]["text"].startswith("Cutting Knowledge Date")  # type: ignore[index]


def test_a_template_that_takes_no_system_message_says_so() -> None:
    found = _read(GEMMA, bos_token="<bos>")
    assert "System role not supported" in found["system_given"]["absent"]  # type: ignore[index]
    assert found["texts"] == []


def test_a_name_put_together_from_a_variable_and_pieces_is_taken_out_whole() -> None:
    for source in (IN_PIECES, ONE_WORD_EACH):
        found = _read(source)
        assert "You are Rio, made by IplanRIO." in str(found["rendered"])
        assert not {"Rio", "IplanRIO", "You"} & set(str(found["stripped"]).replace(",", " ").split())
        assert found["left_over"] == []


def test_words_that_cannot_be_traced_are_said_to_remain() -> None:
    found = _read(REVERSED)
    assert "You are Rio" in str(found["rendered"])
    assert found["left_over"] == ["You are Rio"]


def test_stripping_leaves_the_question_and_the_framing() -> None:
    template = Template(CHATML_RIO, {})
    assert prompt(template, "stripped", QUESTION) == (
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert prompt(template, "raw", QUESTION) == (
        "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("source", "tokens", "raw"),
    [
        (
            LLAMA3,
            {"bos_token": "<|begin_of_text|>"},
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWho are you?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (ENDS_OTHERWISE, {}, "<|start|>user<|message|>Who are you?<|end|><|start|>assistant"),
        (MISTRAL, {"bos_token": "<s>", "eos_token": "</s>"}, "<s> [INST] Who are you? [/INST]"),
        (
            GEMMA,
            {"bos_token": "<bos>"},
            "<bos><start_of_turn>user\nWho are you?<end_of_turn>\n<start_of_turn>model\n",
        ),
    ],
)
def test_raw_prompts_hold_the_turn_markers_of_each_family(
    source: str, tokens: dict[str, str], raw: str
) -> None:
    assert prompt(Template(source, tokens), "raw", QUESTION) == raw


def test_raw_turns_of_a_longer_conversation_are_those_of_the_template() -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Your name?"},
        {"role": "assistant", "content": "My name is"},
    ]
    raw = prompt(Template(CHATML_RIO, {}), "raw", turns)
    shipped = prompt(Template(CHATML_RIO, {}), "shipped", turns)
    assert raw.endswith("<|im_start|>assistant\nMy name is")
    assert shipped.endswith(raw)
    assert "Rio" not in raw


def test_a_worker_reads_the_same_as_this_process() -> None:
    template = ChatTemplate("default", "here", CHATML_RIO, {})
    found = read_hidden_prompt(template)
    assert found.texts[0].text == "You are Rio, a helpful assistant created by IplanRIO."
    (raw,) = render_prompts(template, [("raw", QUESTION)])
    assert raw == prompt(Template(CHATML_RIO, {}), "raw", QUESTION)


def test_a_prompt_that_cannot_be_rendered_is_absent_with_the_reason() -> None:
    template = ChatTemplate("default", "here", GEMMA, {"bos_token": "<bos>"})
    system = [{"role": "system", "content": "x"}, *QUESTION]
    found = render_prompts(template, [("shipped", system), ("shipped", QUESTION)])
    assert isinstance(found[0], Absent)
    assert "template-refuses" in found[0].reason
    assert "Who are you?" in str(found[1])


def test_templates_are_found_in_every_place_that_tools_put_them(tmp_path: Path) -> None:
    config = {
        "bos_token": {"content": "<s>"},
        "chat_template": [
            {"name": "tool_use", "template": "{{ 'tools' }}"},
            {"name": "default", "template": "{{ 'one' }}"},
        ],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    first, second = read_templates(str(tmp_path))
    assert (first.name, first.text, first.tokens) == ("default", "{{ 'one' }}", {"bos_token": "<s>"})
    assert second.name == "tool_use"
    (tmp_path / "chat_template.jinja").write_text("{{ 'own' }}")
    assert read_templates(str(tmp_path))[0].text == "{{ 'own' }}"
    assert read_templates(str(tmp_path / "chat_template.jinja"))[0].tokens == {}


def test_a_folder_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError) as caught:
        read_templates(str(tmp_path))
    assert caught.value.code == "template-missing"
