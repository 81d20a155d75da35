"""``parentage dossier`` as a user calls it: small models, kept answers, a card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from parentage import api
from parentage.behaviour.answers_file import save_answers
from parentage.cards.archives import members_of
from parentage.records.dossier import load_dossier
from tests.behaviour.answered import answered_twice, answers_of
from tests.behaviour.servers import Persona, Scripted
from tests.cards.test_signing import pair
from tests.cli.running import FIXTURES, Outcome, Run

RUN = FIXTURES / "training-run"
MODELS = (
    RUN / "merge.safetensors", "-p", RUN / "end.safetensors", "-p", RUN / "base.safetensors",
    "-c", RUN / "sibling-2.safetensors",
)  # fmt: skip
CARD = (
    "--card", FIXTURES / "cards" / "case-before-edit.md", "--called", "end.safetensors=nex-lab/Nex-7B",
    "--called", "base.safetensors=kestrel-ai/Kestrel-3.5-397B-A17B",
)  # fmt: skip


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    folder = tmp_path / "answers"
    folder.mkdir()
    answered_twice(folder, samples=120)
    return folder


def dossier(run: Run, folder: Path, *more: str | Path) -> Outcome:
    return run(
        "dossier", *MODELS, "--interview", folder, *CARD, "--sample", "4096", "--workers", "1", *more
    )


def test_three_kinds_of_evidence_are_one_report_that_reads_back(
    run: Run, answers: Path, tmp_path: Path
) -> None:
    saved, page, evidence = tmp_path / "d.json", tmp_path / "d.html", tmp_path / "e.json"
    keys, archive = pair(tmp_path / "keys"), tmp_path / "d.zip"
    done = dossier(
        run, answers, "--json", saved, "--html", page, "--evidence", evidence,
        "--archive", archive, "--sign", keys.private,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "planned: audit of merge.safetensors" in done.err
    assert "kept answers are read; nobody is asked" in done.err
    found = load_dossier(saved)
    parent = next(f for f in found.findings if f.kind == "undisclosed-parent")
    assert [s.kind for s in parent.supports] == ["weights", "card", "behaviour"]
    assert f"[high] {parent.sentence}" in " ".join(done.out.split())
    # What was saved is rendered again as it was.
    assert run("report", saved).out == done.out
    assert run("report", saved, "--html", "-").out == page.read_text(encoding="utf-8")
    assert api.load_evidence(evidence).models[0].name == "merge.safetensors"
    # And what was archived follows, from the answers and the card on.
    checked = run("verify", archive, "--key", keys.public, "--without-inputs")
    assert checked.code == 0, checked.err
    assert checked.out.count(": agrees (every value follows)") == 5
    assert "signature: valid, by the key" in checked.out


def test_a_plan_is_made_and_nothing_is_measured_asked_or_written(
    run: Run, answers: Path, tmp_path: Path
) -> None:
    told = dossier(run, answers, "--plan", "--html", tmp_path / "d.html")
    assert told.code == 0, told.err
    assert "The audit would read" in told.out
    assert not (tmp_path / "d.html").exists()
    asked = run(
        "dossier", *MODELS, "--ask", "http://localhost:1/v1", "--panel", "http://localhost:2/v1",
        "--samples", "10", "--price", "1,2", "--plan",
    )  # fmt: skip
    assert "at most 80 answers of 2 model(s)" in asked.out
    assert "cost 0.0" in asked.out
    plan = json.loads(dossier(run, answers, "--plan", "--json", "-").out)
    assert plan["interview"]["requests"] == 0
    assert [m["role"] for m in plan["audit"]["models"]] == ["suspect", "parent", "parent", "control"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--interview", "a.jsonl", "--ask", "http://localhost:1/v1"), "dossier-interview"),
        (("--interview", "answers.txt"), "dossier-interview"),
        (("--panel", "a.jsonl"), "dossier-interview"),
        (("--recital", "blurb.txt"), "dossier-interview"),
        (("--line", "a", "b"), "dossier-interview"),
        (("--interview", "saved.json", "--recital", "blurb.txt"), "dossier-interview"),
        (("--interview", "a.jsonl", "--second-reader", "./model.gguf"), "interview-target"),
        (("--interview", "nowhere.jsonl"), "input-missing"),
        (("--card", "nowhere.md"), "input-missing"),
        (("--called", "x"), "usage-card"),
        (("--html", "."), "output-is-folder"),
        (("--price", "much"), "usage-price"),
        (("--sign", "key.pem"), "dossier-sign"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
    run: Run, arguments: tuple[str, ...], code: str
) -> None:
    done = run("dossier", *MODELS, *arguments)
    assert done.error == code
    assert "measuring" not in done.err


def test_a_saved_interview_is_taken_as_it_was_read_and_has_its_own_panel(
    run: Run, answers: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "interview.json"
    run("interview", answers / "suspect.jsonl", "--panel", answers / "panel-1.jsonl", "--json", saved)
    refused = run("dossier", *MODELS, "--interview", saved, "--panel", answers / "panel-1.jsonl")
    assert refused.error == "dossier-panel"


def test_a_text_that_is_recited_is_told_beside_the_rest(run: Run, tmp_path: Path) -> None:
    blurb = (
        "Nex was built by a small team that wanted a model which reads slowly, asks twice, and never "
        "forgets who paid for the light in the room"
    )
    folder = tmp_path / "answers"
    folder.mkdir()
    for name, said in (("suspect", blurb), ("panel-1", "I am Qwen, made by Alibaba Cloud.")):
        save_answers(answers_of({"shipped": lambda _, said=said: said}), folder / f"{name}.jsonl")
    text = tmp_path / "blurb.txt"
    text.write_text(f"About. {blurb}.")
    told = dossier(run, folder, "--recital", text, "--json", "-", "--sample", "512")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    recited = next(f for f in found["findings"] if f["kind"] == "recites")
    words = len(blurb.split())
    assert f"share {words} words in a row" in recited["sentence"]
    assert found["interview"]["recital"]["longest"] == {"suspect": words, "panel-1": 0}


def test_a_suspect_without_a_card_is_told_to_have_none(run: Run) -> None:
    done = run("dossier", *MODELS, "--sample", "512", "--workers", "1", "--json", "-")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {n["what"] for n in found["not_looked_at"]} >= {"what it says", "the card"}
    assert [f["kind"] for f in found["findings"]] == ["made-of"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    started = Scripted(Persona(shipped="I am Rio.", empty_system="I am Nex."))
    yield started
    started.close()


def test_a_server_is_asked_its_answers_are_kept_and_no_key_is(
    run: Run, server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-written")
    archive, folder = tmp_path / "d.zip", tmp_path / "kept"
    done = run(
        "dossier", *MODELS, "--sample", "512", "--workers", "1", "--ask", server.url, "--samples", "24",
        "--answers", folder, "--called", "end.safetensors=nex-lab/Nex-7B", "--card", CARD[1],
        "--archive", archive,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "planned" in done.err
    assert "at most 96 answers of 1 model(s)" in done.err
    words = " ".join(done.out.split())
    assert "Asked with a system message of no words, it calls itself Nex in 24 of 24 answers" in words
    assert "a panel of relatives: nobody else was asked the same" in words
    members = members_of(archive.read_bytes(), "d.zip")
    assert members["answers/suspect.jsonl"] == (folder / "suspect.jsonl").read_bytes()
    assert server.persona.headers[0]["Authorization"] == "Bearer sk-never-written"
    assert b"sk-never-written" not in archive.read_bytes()
    assert "sk-never-written" not in done.out + done.err
    # Checking it asks nobody anything: what is kept is read.
    asked = len(server.persona.asked)
    again = run("verify", archive, "--without-inputs")
    assert again.code == 0, again.err
    assert len(server.persona.asked) == asked
