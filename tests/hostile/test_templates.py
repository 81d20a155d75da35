"""Chat templates that loop, grow, reach out or are none: one clear error each."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage.behaviour.templates.reading import CannotRender, Template, hidden_prompt
from parentage.behaviour.templates.rendering import read_hidden_prompt
from parentage.behaviour.templates.sources import ChatTemplate, read_templates
from parentage.errors import TemplateError

LIES = [
    ("template-bounds", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"),
    ("template-bounds", "{% for a in range(10**9) %}{% endfor %}"),
    (
        "template-bounds",
        "{% set n = namespace(x='aa') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    ),
    (
        "template-bounds",
        "{% set n = namespace(x='aa') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    ),
    ("template-bounds", "{{ 'a' * 9999999999 }}"),
    ("template-bounds", "{{ [0] * 2**40 }}"),
    ("template-bounds", "{{ 2 ** 999999999 }}"),
    ("template-bounds", "{{ '%999999999d' % 1 }}"),
    ("template-bounds", "{{ ('a' * 9999) | replace('a', 'b' * 9999) }}"),
    ("template-bounds", "{{ ('a' * 9999).replace('a', 'b' * 9999) }}"),
    ("template-bounds", "{{ range(9999) | join('b' * 9999) }}"),
    ("template-bounds", "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"),
    ("template-forbidden", "{{ ''.__class__.__mro__ }}"),
    ("template-forbidden", "{{ cycler.__init__.__globals__ }}"),
    ("template-forbidden", "{{ messages.append(1) }}"),
    ("template-forbidden", "{{ '{:>999999999}'.format(1) }}"),
    ("template-forbidden", "{{ 'a'.ljust(10**10) }}"),
    ("template-fails", "{{ 1 / 0 }}"),
    ("template-fails", "{% include '/etc/passwd' %}"),
    ("template-refuses", "{{ raise_exception('no') }}"),
    ("template-syntax", "{% if %}"),
    ("template-syntax", "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}"),
]


@pytest.mark.parametrize(("code", "source"), LIES, ids=range(len(LIES)))
def test_a_hostile_template_ends_in_one_clear_error(code: str, source: str) -> None:
    with pytest.raises(CannotRender) as caught:
        hidden_prompt(Template(source, {}))
    assert caught.value.code == code


@pytest.mark.parametrize("code", sorted({c for c, _ in LIES}))
def test_the_error_is_the_same_from_a_worker(code: str) -> None:
    source = next(s for c, s in LIES if c == code)
    with pytest.raises(TemplateError) as caught:
        read_hidden_prompt(ChatTemplate("default", "there", source, {}))
    assert (caught.value.code, caught.value.where, caught.value.exit_code) == (code, "there", 3)


@pytest.mark.slow
def test_work_that_no_count_sees_ends_with_the_workers_time() -> None:
    busy = "{% for i in range(9999) %}{{ range(9999) | map('string') | sort | length }}{% endfor %}"
    with pytest.raises(TemplateError) as caught:
        read_hidden_prompt(ChatTemplate("default", "there", busy, {}))
    assert caught.value.code == "template-bounds"


@pytest.mark.parametrize(
    "config",
    [
        b"\xff\xfe",
        b"[]",
        b"{",
        b'{"chat_template": 1}',
        b'{"chat_template": [{"name": "x"}]}',
        b"[" * 99_999,
        b'{"chat_template": "' + b"a" * (2**20 + 1) + b'"}',
    ],
    ids=range(7),
)
def test_a_tokenizer_config_that_is_none_is_said_to_be_none(config: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_bytes(config)
    with pytest.raises(TemplateError) as caught:
        read_templates(str(tmp_path))
    assert caught.value.code == "template-malformed"


def test_a_place_without_a_template_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(TemplateError) as caught:
        read_templates(str(tmp_path))
    assert caught.value.code == "template-missing"


def test_code_that_lies_where_we_are_called_from_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jinja2", "json", "parentage"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    found = read_hidden_prompt(ChatTemplate("default", "there", "{{ 'You are Rio here.' }}", {}))
    assert found.texts[0].text == "You are Rio here."
    assert not (tmp_path / "ran").exists()
