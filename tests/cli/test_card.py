"""``parentage card`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage.records.card_report import load_card_report
from tests.cli.running import Run

SAVED = Path(__file__).resolve().parents[1] / "golden" / "saved"
CARD = """\
---
license: mit
base_model: acme/Corvid-7B
---
# Finch-7B

Finch-7B was fine-tuned from acme/Corvid-7B. It is not a merge <script>alert(1)</script>.
Developed by Zed \x1b[31mCorp.
"""
CALLED = ("--called", "base.safetensors=acme/Corvid-7B", "--called", "end.safetensors=acme/Corvid-7B-Chat")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card that tells of a fine-tune."""
    path = tmp_path / "card.md"
    path.write_text(CARD)
    return path


def test_a_card_is_weighed_against_saved_evidence_and_against_its_report_alike(
    run: Run, card: Path
) -> None:
    found = [
        json.loads(
            run("card", card, "--from-evidence", SAVED / f"merge.{kind}.json", *CALLED, "--json").out
        )
        for kind in ("evidence", "report")
    ]
    assert found[0]["claims"] == found[1]["claims"]
    statuses = {(c["claim"]["kind"], c["claim"]["value"]): c["status"] for c in found[0]["claims"]}
    assert statuses["relation", "finetune"] == "contradicted"
    assert statuses["base-model", "acme/Corvid-7B"] == "supported"
    assert [f["id"] for f in found[0]["findings"]] == ["undisclosed-parent", "merge-not-told"]


def test_the_json_is_a_file_that_reads_back(run: Run, card: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(run("card", card, "--json").out)
    found = load_card_report(path)
    assert found.reading.values("licence") == ("mit",)


def test_json_goes_to_a_file_or_to_standard_output_where_none_is_named(
    run: Run, card: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    told = run("card", card, "--json", path)
    assert "Zed" in told.out
    outs = [
        run("card", *w).out
        for w in ((card, "--json", "-"), (card, "--json"), ("--json", "--limit=3", card))
    ]
    assert outs == [path.read_text()] * 3
    assert load_card_report(path).reading.values("licence") == ("mit",)
    assert run("card", card, "--json", card).error == "usage-outputs"
    assert card.read_text() == CARD


def test_nothing_of_a_card_reaches_page_or_terminal_as_a_command(
    run: Run, card: Path, tmp_path: Path
) -> None:
    page = tmp_path / "card.html"
    told = run("card", card, "--html", page).out
    assert "\x1b" not in told
    assert "Zed" in told
    assert "<script" not in page.read_text()
    assert "alert(1)" not in page.read_text()


def test_a_claim_with_markup_is_shown_as_text(run: Run, tmp_path: Path) -> None:
    path, page = tmp_path / "card.md", tmp_path / "card.html"
    path.write_text("---\nbase_model: 'a/<img src=x onerror=alert(1)>'\nlicense_name: '<b>x</b>'\n---\n")
    run("card", path, "--html", page)
    text = page.read_text()
    assert "&lt;img" in text
    assert "<img" not in text
    assert "<b>x" not in text


@pytest.mark.parametrize(
    ("condition", "code"), [("contradicted", "card-condition"), ("undisclosed", "card-condition")]
)
def test_a_pipeline_can_refuse_a_card(run: Run, card: Path, condition: str, code: str) -> None:
    found = run(
        "card", card, "--from-evidence", SAVED / "merge.evidence.json", *CALLED, "--fail-on", condition
    )
    assert (found.code, found.error) == (5, code)
    honest = card.with_name("honest.md")
    honest.write_text("A merge of acme/Corvid-7B-Chat and acme/Corvid-7B.\n")
    found = run(
        "card", honest, "--from-evidence", SAVED / "merge.evidence.json", *CALLED, "--fail-on", condition
    )
    assert found.code == 0


def test_licences_and_dates_of_parents_are_laid_beside_the_cards(
    run: Run, card: Path, tmp_path: Path
) -> None:
    parent = tmp_path / "parent.md"
    parent.write_text("---\nlicense: cc-by-nc-4.0\n---\n# Corvid-7B\n")
    more = ("--parent-card", f"acme/Corvid-7B={parent}", "--published", "acme/Corvid-7B=2026-06-08")
    found = json.loads(run("card", card, *more, "--published", "2026-06-01", "--json").out)
    assert [f["id"] for f in found["findings"]] == ["licence-terms", "parent-after-child"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--called", "x"), "usage-card"),
        (("--published", "x=yesterday"), "usage-card"),
        (("--fail-on", "anything"), "usage-card"),
        (("--from-evidence", "absent.json"), "input-missing"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    run: Run, card: Path, more: tuple[str, ...], code: str
) -> None:
    assert run("card", card, *more).error == code


def test_a_folder_without_a_card_is_refused_and_one_without_weights_is_read(
    run: Run, tmp_path: Path
) -> None:
    assert run("card", tmp_path).error == "card-absent"
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    assert "licence mit" in run("card", tmp_path).out
