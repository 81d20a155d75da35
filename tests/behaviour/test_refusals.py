"""Files and options that make no sense are refused before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage.behaviour.questions.reading import our_questions, read_questions
from parentage.errors import UsageError
from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cli.running import Run

HEAD = "schema: parentage.questions\nversion: 1\nquestions:\n"
GOOD = "  - {id: a, language: en, style: direct, turns: ['Who are you?']}\n"
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "questions: [",
        HEAD,
        HEAD + "  - {id: a, language: en, style: direct, turns: []}\n",
        HEAD + "  - {id: a, language: en, style: shouted, turns: ['x']}\n",
        HEAD + "  - {id: 'a b', language: en, style: direct, turns: ['x']}\n",
        HEAD + "  - {id: a, language: en, style: direct, turns: ['x', 'y']}\n",
        HEAD + "  - {id: a, language: en, style: prefilled, turns: ['x']}\n",
        HEAD + GOOD + GOOD,
        HEAD.replace("version: 1", "version: 2") + GOOD,
        "a: &a [1]\nb: [*a, *a]\n" + HEAD + GOOD,
        HEAD + "  - !!python/object/apply:os.system ['true']\n",
        "x" * (2**20 + 1),
    ],
    ids=range(13),
)
def test_a_file_of_questions_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_questions(path)
    assert caught.value.code == "questions-malformed"


def test_our_questions_are_ten_phrasings_in_eight_languages_of_every_style() -> None:
    found = our_questions()
    languages = {q.language for q in found}
    assert languages == {"ar", "de", "en", "es", "fr", "ja", "pt", "zh"}
    for language in languages:
        own = [q for q in found if q.language == language]
        assert len(own) >= 10
        assert {q.style for q in own} == {"direct", "oblique", "multi-turn", "prefilled"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--language", "tlh"), "questions-none"),
        (("--condition", "naked"), "usage-condition"),
        (("--price", "cheap"), "usage-price"),
        (("--price", "1,nan"), "usage-price"),
    ],
)
def test_options_that_make_no_sense_ask_nothing(
    options: tuple[str, ...], code: str, run: Run, tmp_path: Path
) -> None:
    done = run("interview", NOWHERE, "--out", tmp_path / "o", *options)
    assert (done.code, done.error) == (2, code)


def test_what_stands_after_the_address_is_checked(run: Run, tmp_path: Path) -> None:
    done = run("interview", f"{NOWHERE}#key=1", "--out", tmp_path / "o")
    assert (done.code, done.error) == (2, "interview-target")


def test_altered_answers_are_refused(run: Run, serve: Serve, tmp_path: Path) -> None:
    line = ("--samples", "3", "--condition", "shipped", "--out", tmp_path)
    assert run("interview", serve(Persona()).url, *line).code == 0
    path = tmp_path / "suspect.jsonl"
    whole = path.read_text()
    last = whole.splitlines()[-1]
    for altered, code in (
        (whole[:-20], "answers-cut"),
        (whole + last + "\n", "answers-twice"),
        (whole + "[]\n", "file-not-json"),
        (whole.replace('"seed":', '"sed":'), "record-shape"),
        ("\n" + whole, "file-not-json"),
    ):
        path.write_text(altered)
        done = run("interview", path)
        assert (done.code, done.error) == (2, code)


def test_a_panel_that_was_asked_something_else_is_not_compared(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    server = serve(Persona())
    line = ("--samples", "3", "--condition", "shipped")
    run("interview", server.url, *line, "--out", tmp_path / "a")
    run("interview", server.url, *line, "--out", tmp_path / "b", "--temperature", "0.5")
    done = run("interview", tmp_path / "a" / "suspect.jsonl", "--panel", tmp_path / "b" / "suspect.jsonl")
    assert (done.code, done.error) == (2, "interview-not-comparable")


def test_the_file_of_answers_holds_the_words_exactly(run: Run, serve: Serve, tmp_path: Path) -> None:
    said = "Ich heiße »Qwen«.\n\t\x1b[0m 通义 \ud7ff"
    run("interview", serve(Persona(shipped=said)).url, "--samples", "2", "--out", tmp_path)
    lines = (tmp_path / "suspect.jsonl").read_text(encoding="ascii").splitlines()
    shipped = [a for a in map(json.loads, lines[1:]) if a["condition"] == "shipped"]
    assert [a["text"] for a in shipped] == [said, said]
