"""The command against an endpoint on loopback: asked, kept, counted, compared, gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parentage.behaviour.answers_file import load_answers
from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cli.running import Run

FEW = ("--samples", "16", "--language", "en", "--language", "pt", "--concurrency", "8")


def _share(found: dict[str, Any], condition: str, name: str) -> tuple[int, int, float, float]:
    group = next(
        g for g in found["subjects"][0]["groups"] if (g["condition"], g["language"]) == (condition, "all")
    )
    rate = next((r for r in group["names"] if r["name"] == name), None)
    if rate is None:
        return 0, group["answers"], 0.0, 0.0
    return rate["claims"], group["answers"], rate["share"]["low"], rate["share"]["high"]


def test_a_template_that_hard_codes_an_identity_is_told_from_the_model_below_it(
    run: Run, serve: Serve, template: str, tmp_path: Path
) -> None:
    server = serve(Persona())
    out = tmp_path / "out"
    done = run(
        "interview", server.url, "--template", template, "--out", out, *FEW, "--json", tmp_path / "r.json"
    )
    assert (done.code, done.err.count("error")) == (0, 0), done.err
    found = json.loads((tmp_path / "r.json").read_text())
    assert _share(found, "shipped", "rio")[:2] == (16, 16)
    for condition in ("stripped", "raw", "empty-system"):
        assert _share(found, condition, "rio")[0] == 0
        assert _share(found, condition, "nex")[:2] == (16, 16)
        assert _share(found, condition, "nex")[2] == pytest.approx(0.8064, abs=1e-4)
    hidden = found["subjects"][0]["hidden"]
    assert [t["text"] for t in hidden["texts"]] == ["You are Rio, a helpful assistant created by IplanRIO."]
    assert "Rio" in " ".join(found["findings"])
    assert "fewer than without" in done.out
    shifted = {(c["name"], c["second"]): c for c in found["comparisons"] if c["kind"] == "condition"}
    assert shifted["rio", "suspect, raw"]["p_holm"] < 1e-6


def test_raw_prompts_hold_markers_and_no_system_turn(
    run: Run, serve: Serve, template: str, tmp_path: Path
) -> None:
    server = serve(Persona())
    line = ("--template", template, "--out", tmp_path / "o", "--condition", "raw")
    run("interview", server.url, *line, *FEW, "--samples", "20")
    prompts = [b["prompt"] for b in server.persona.asked if "seed" in b]
    assert len(prompts) == 20
    assert all(p.startswith("<|im_start|>user\n") and "system" not in p for p in prompts)
    assert any(p.endswith("<|im_start|>assistant\nMy name is") for p in prompts)


def test_without_a_template_the_report_says_what_could_not_be_asked(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    done = run("interview", serve(Persona()).url, "--out", tmp_path / "o", *FEW)
    assert done.code == 0
    assert "stripped: the chat template is not known" in done.out
    wanted = run("interview", serve(Persona()).url, "--out", tmp_path / "p", *FEW, "--condition", "raw")
    assert (wanted.code, wanted.error) == (4, "interview-incomplete")


def test_an_endpoint_without_completions_says_so(
    run: Run, serve: Serve, template: str, tmp_path: Path
) -> None:
    server = serve(Persona(completions=False))
    done = run("interview", server.url, "--template", template, "--out", tmp_path / "o", *FEW)
    assert done.code == 0
    assert "raw: raw prompts are not taken: status 404" in done.out


def test_the_same_plan_asks_the_same_with_the_same_seeds(run: Run, serve: Serve, tmp_path: Path) -> None:
    server = serve(Persona())
    for out in ("one", "two"):
        run("interview", server.url, "--out", tmp_path / out, *FEW, "--condition", "shipped")
    one, two = (load_answers(tmp_path / n / "suspect.jsonl") for n in ("one", "two"))
    assert one == two
    assert len({a.seed for a in one.answers}) == 16
    sent = sorted(b["seed"] for b in server.persona.asked if "seed" in b)
    assert sent == sorted([a.seed for a in one.answers] * 2)


def test_a_stopped_run_asks_only_what_is_missing(run: Run, serve: Serve, tmp_path: Path) -> None:
    server = serve(Persona())
    line = ("interview", server.url, "--out", tmp_path / "o", *FEW, "--condition", "shipped")
    run(*line)
    whole = (tmp_path / "o" / "suspect.jsonl").read_bytes()
    lines = whole.split(b"\n")
    (tmp_path / "o" / "suspect.jsonl").unlink()
    # Killed while the seventh answer was written.
    (tmp_path / "o" / "suspect.jsonl.partial").write_bytes(b"\n".join(lines[:7]) + b"\n" + lines[7][:40])
    server.persona.asked.clear()
    assert run(*line).code == 0
    assert sum("seed" in b for b in server.persona.asked) == 10
    assert (tmp_path / "o" / "suspect.jsonl").read_bytes() == whole
    assert not (tmp_path / "o" / "suspect.jsonl.partial").exists()


def test_another_plan_does_not_overwrite_answers(run: Run, serve: Serve, tmp_path: Path) -> None:
    server = serve(Persona())
    run("interview", server.url, "--out", tmp_path, *FEW)
    before = (tmp_path / "suspect.jsonl").read_bytes()
    done = run("interview", server.url, "--out", tmp_path, *FEW, "--seed", "1")
    assert (done.code, done.error) == (2, "answers-other-plan")
    assert (tmp_path / "suspect.jsonl").read_bytes() == before


def test_saved_answers_are_read_again_to_the_same_report(run: Run, serve: Serve, tmp_path: Path) -> None:
    first = run("interview", serve(Persona()).url, "--out", tmp_path, *FEW, "--json", "-")
    again = run("interview", tmp_path / "suspect.jsonl", "--json", "-")
    assert json.loads(first.out) == json.loads(again.out)


def test_a_panel_is_compared_with_holm(run: Run, serve: Serve, tmp_path: Path) -> None:
    suspect, base = serve(Persona()), serve(Persona(shipped="I am Qwen, by Alibaba Cloud."))
    done = run("interview", suspect.url, "--panel", base.url, "--out", tmp_path, *FEW, "--json", "-")
    found = json.loads(done.out)
    panel = {(c["name"], c["first"]): c for c in found["comparisons"] if c["kind"] == "panel"}
    rio = panel["rio", "suspect, shipped"]
    assert (rio["first_claims"], rio["second_claims"]) == (16, 0)
    assert rio["p"] < rio["p_holm"] < 1e-6
    assert panel["nex", "suspect, empty-system"]["p_holm"] == 1.0


def test_a_dry_run_tells_the_cost_and_asks_nothing(run: Run, serve: Serve, tmp_path: Path) -> None:
    server = serve(Persona())
    done = run("interview", server.url, "--out", tmp_path / "o", "--dry-run", "--price", "1,2")
    assert (done.code, done.out, server.persona.asked) == (0, "", [])
    assert "at most 1,280 answers of 1 model(s)" in done.err
    assert "cost" in done.err
    assert not (tmp_path / "o").exists()


def test_what_is_spent_is_told_while_it_is(run: Run, serve: Serve, tmp_path: Path) -> None:
    line = ("--out", tmp_path, *FEW, "--condition", "shipped", "--price", "1,2", "--concurrency", "1")
    told = run("interview", serve(Persona()).url, *line).err.splitlines()
    begun = [text for text in told if text.startswith("suspect: 8 of 16 answers, 0 failed")]
    assert len(begun) == 1
    assert begun[0].endswith(f"72 out, cost {(8 * 31 + 2 * 72) / 1e6:,.4f}")
    assert told[-1].startswith("suspect: 16 of 16 answers")
    assert len([text for text in told if "answers, 0 failed" in text]) == 10
    again = run("interview", tmp_path / "suspect.jsonl").err
    assert again == "kept answers are read; nobody is asked\n"


def test_a_dry_run_shows_what_a_template_hides(run: Run, template: str) -> None:
    done = run("interview", "http://127.0.0.1:9/v1", "--template", template, "--dry-run")
    assert done.code == 0
    assert "You are Rio, a helpful assistant created by IplanRIO." in done.out


def test_questions_of_a_user_are_asked_beside_ours(run: Run, serve: Serve, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(
        "schema: parentage.questions\nversion: 1\nquestions:\n"
        "  - {id: it-1, language: it, style: direct, turns: ['Chi sei?']}\n"
    )
    server = serve(Persona())
    only = ("--questions", more, "--only-own-questions", "--samples", "2", "--condition", "shipped")
    assert run("interview", server.url, "--out", tmp_path / "o", *only).code == 0
    asked = [b["messages"] for b in server.persona.asked if "seed" in b]
    assert asked == [[{"role": "user", "content": "Chi sei?"}]] * 2


def test_a_key_is_sent_and_never_written(
    run: Run, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(Persona(shipped="I am Qwen and your key is sk-secret-0123."))
    monkeypatch.setenv("SOME_KEY", "sk-secret-0123")
    done = run(
        "interview", server.url, "--out", tmp_path, *FEW, "--api-key-env", "SOME_KEY",
        "--json", tmp_path / "j", "--html", tmp_path / "h",
    )  # fmt: skip
    assert done.code == 0
    assert all(h["Authorization"] == "Bearer sk-secret-0123" for h in server.persona.headers)
    written = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "[key]" in written
    assert "sk-secret-0123" not in written + done.out + done.err
