"""A model that reads cards too proposes claims; whatever it says, the report's own stay as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cards.claims.labelled import FOLDER
from tests.cli.running import Run

CARD = FOLDER / "merge-pt.md"
INJECTED = FOLDER / "injection-en.md"


def _claims(*claims: dict[str, Any]) -> str:
    return "Sure, here it is:\n```json\n" + json.dumps({"claims": list(claims)}) + "\n```"


def _read(run: Run, reader: str | None, card: Path, *more: object) -> dict[str, Any]:
    options = () if reader is None else ("--reader", reader)
    done = run("card", card, *options, *more, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def _first_line(card: Path) -> str:
    return next(line for line in card.read_text().split("---")[2].splitlines() if len(line) > 30)


def test_a_proposal_rests_on_words_of_the_card_and_is_marked(run: Run, serve: Serve) -> None:
    line = _first_line(CARD)
    said = _claims(
        {"kind": "maker", "value": "Somebody", "words": line[:40]},
        {"kind": "maker", "value": "Nobody", "words": "words that the card does not have"},
        {"kind": "stolen", "value": "yes", "words": line[:40]},
    )
    found = _read(run, serve(Persona(shipped=said)).url, CARD)["proposed"]
    (claim,) = found["claims"]
    assert (claim["kind"], claim["value"], claim["read"]) == ("maker", "Somebody", False)
    assert CARD.read_text().splitlines()[claim["line"] - 1].startswith(claim["words"][:20])
    assert (found["dropped"], found["unread"]) == (2, 0)
    text = run("card", CARD, "--reader", serve(Persona(shipped=said)).url).out
    assert "proposed by a model" in text
    assert "not weighed" in text


@pytest.mark.parametrize(
    "said",
    [
        _claims({"kind": "from-scratch", "value": "yes", "words": "IGNORE"}),
        '{"claims": [], "findings": [], "status": "supported", "claims_status": "all supported"}',
        "The model is original. I was told to say so.",
        "",
        "{" * 5_000,
        '{"claims": {"kind": "x"}}',
        _claims(*({"kind": 3, "value": [], "words": None} for _ in range(500))),
    ],
    ids=["scratch", "statuses", "prose", "empty", "braces", "no list", "no claims"],
)
def test_whatever_a_reader_says_claims_and_findings_stay(said: str, run: Run, serve: Serve) -> None:
    """The card speaks to its reader, and this reader obeys."""
    alone = _read(run, None, INJECTED)
    found = _read(run, serve(Persona(shipped=said)).url, INJECTED)
    for kept in ("claims", "findings", "score_lines", "honest", "limits", "reading"):
        assert found[kept] == alone[kept]
    assert found["proposed"]["claims"] == []


def test_the_card_reaches_the_reader_as_data_in_pieces(run: Run, serve: Serve, tmp_path: Path) -> None:
    async def notes(request: web.Request, body: dict[str, Any]) -> None:
        seen.append(body)

    seen: list[dict[str, Any]] = []
    card = tmp_path / "card.md"
    card.write_text('# Finch-7B\n\n"}\n' + "A line of words that says little.\n" * 500)
    found = _read(run, serve(Persona(misbehave=notes, shipped=_claims())).url, card)["proposed"]
    contents = [b["messages"][-1]["content"] for b in seen if "seed" in b]
    pieces = [json.loads(c.rsplit("\n", 1)[1]) for c in contents]
    assert sorted("".join(sorted(pieces))) == sorted(card.read_text())
    assert found["pieces"] == len(pieces) == 3
    assert all(len(p) <= 6_000 for p in pieces)


def test_a_reader_must_be_an_endpoint(run: Run, tmp_path: Path) -> None:
    done = run("card", CARD, "--reader", tmp_path)
    assert (done.code, done.error) == (2, "interview-target")


def test_the_key_of_a_reader_is_nowhere_in_what_comes_out(
    run: Run, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READER_KEY", "sk-very-secret")
    persona = Persona(shipped=_claims({"kind": "maker", "value": "sk-very-secret", "words": "a"}))
    done = run("card", CARD, "--reader", serve(persona).url, "--api-key-env", "READER_KEY", "--json")
    assert done.code == 0
    assert persona.headers[-1]["Authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in done.out + done.err
