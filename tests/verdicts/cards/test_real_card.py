"""The real card of the real B, written by its trainer, against the rows that its training left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage import api
from parentage.cards.claims.reading import read_card
from parentage.verdicts.cards.examine import examine_card
from parentage.verdicts.cards.facts import Facts

BASE = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def card(family: Path) -> str:
    """B's card, kept apart from its weights."""
    path = family / "cards" / "B.md"
    if not path.exists():
        pytest.skip("the family was fetched without its cards: fetch it again")
    return path.read_text(encoding="utf-8")


@pytest.mark.real
def test_the_real_cards_claims_are_read(card: str) -> None:
    found = read_card(card)
    assert found.values("base-model") == (BASE,)
    assert found.values("relation") == ("finetune",)
    settings = {"learning-rate=5e-05", "weight-decay=0", "epochs=4", "batch-size=16", "warmup-steps=0"}
    assert settings <= set(found.values("hyper-parameter"))


@pytest.mark.real
@pytest.mark.slow
def test_the_real_cards_settings_are_not_those_of_the_real_rows(card: str, family: Path) -> None:
    """Decay 0 and no warm-up, it says; 30,349 rows moved as decay moves them, after a warm-up of 100."""
    suspect, parent = (str(family / name / "model.safetensors") for name in "BO")
    report = api.audit(suspect, parents=[parent], sample=1024, digests=False).report
    called = {p.name: BASE for p in report.parents}
    found = examine_card(Facts(read_card(card), card, report=report, called=called), {})
    statuses = {f"{w.claim.kind} {w.claim.value}": w.status for w in found.claims}
    assert statuses[f"base-model {BASE}"] == "supported"
    assert statuses["relation finetune"] == "supported"
    assert statuses["hyper-parameter weight-decay=0"] == "contradicted"
    assert statuses["hyper-parameter warmup-steps=0"] == "contradicted"
    # Rows show the product of rate and decay: the rate alone is not to be told from them.
    assert statuses["hyper-parameter learning-rate=5e-05"] == "undetermined"
    assert statuses["hyper-parameter schedule=linear"] == "supported"
    assert statuses["hyper-parameter optimizer=adamw"] == "supported"
    assert found.findings == ()
