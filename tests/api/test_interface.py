"""The public Python interface: what it names is there, and says what the commands say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from parentage import api
from parentage.records.codec import to_plain
from tests.behaviour.answered import answered_twice
from tests.cli.running import Run

SAVED = Path(__file__).resolve().parents[1] / "golden" / "saved"
CALLED = {"base.safetensors": "acme/Corvid-7B"}


def test_every_public_name_is_there_and_no_other_is_listed() -> None:
    assert sorted(api.__all__) == sorted(set(api.__all__))
    assert [name for name in api.__all__ if not hasattr(api, name)] == []


def test_an_audit_alone_loads_no_interview_and_no_card_rules() -> None:
    program = "import sys; from parentage import api; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "parentage.evidence.measure" in loaded.split()
    for room in ("parentage.behaviour", "parentage.cards.claims", "parentage.verdicts.cards"):
        assert room not in loaded


def test_a_card_is_weighed_as_the_command_weighs_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "card.md"
    path.write_text(
        "---\nbase_model: acme/Corvid-7B\n---\n# Finch-7B\n\nFinch-7B was fine-tuned from acme/Corvid-7B.\n"
    )
    told = run(
        "card", path, "--from-evidence", SAVED / "merge.evidence.json",
        "--called", "base.safetensors=acme/Corvid-7B", "--json",
    )  # fmt: skip
    found = api.card(str(path), evidence=SAVED / "merge.evidence.json", called=CALLED)
    assert {w.claim.value: w.status for w in found.claims}["finetune"] == "contradicted"
    assert to_plain(found)["claims"] == json.loads(told.out)["claims"]


def test_kept_answers_are_read_as_the_command_reads_them(run: Run, tmp_path: Path) -> None:
    suspect, panel = answered_twice(tmp_path)
    saved = tmp_path / "interview.json"
    run("interview", suspect, "--panel", panel, "--json", saved)
    found = api.interview(str(suspect), panel=[str(panel)])
    assert found == api.load_interview(saved)
    assert found.subjects[0].groups[0].names[0].shown == "Nex"
    assert api.plan_interview(str(suspect), panel=[str(panel)]).requests == 0
