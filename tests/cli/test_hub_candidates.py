"""Parents that the card of a model on the hub names are looked for on that hub, and only there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.remote.servers import Hubs
from tests.cli.networks import CARD, suspect
from tests.cli.running import Outcome, Run


def evidence(done: Outcome, path: Path) -> dict[str, Any]:
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def roles(found: dict[str, Any]) -> dict[str, str]:
    return {m["locator"]: m["role"] for m in found["models"] if m["role"] != "shuffled-control"}


def asked_for(hubs: Hubs) -> set[str]:
    found = (re.match(r"/api/models/([^/]+/[^/]+)", a.path) for a in hubs.asked)
    return {m[1] for m in found if m is not None}


def test_parents_that_the_card_names_are_opened_from_the_hub(
    hubs: Hubs, models: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    place = suspect(hubs, models, "org/a", "org/b", "org/other", "org/gone")
    done = run("audit", place, "--evidence", tmp_path / "e.json", "--json", tmp_path / "r.json")
    found = evidence(done, tmp_path / "e.json")
    assert roles(found) == {
        "org/merge": "suspect",
        "hf://org/a": "parent",
        "hf://org/b": "parent",
        "hf://org/other": "control",
    }
    assert "its own files name org/a, opened from the hub as hf://org/a" in found["notes"]
    assert any("hf://org/gone: set aside" in note for note in found["notes"])
    assert json.loads((tmp_path / "r.json").read_text())["verdict"]["relation"] == "linear-merge"


def test_no_more_than_a_few_are_tried_and_the_others_are_told(
    hubs: Hubs, models: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    wanted = ["org/a", "org/b", *(f"org/absent-{k}" for k in range(20))]
    found = evidence(
        run("audit", suspect(hubs, models, *wanted), "--evidence", tmp_path / "e.json"),
        tmp_path / "e.json",
    )
    assert asked_for(hubs) == {"org/merge", *wanted[:8]}
    assert sum("beyond the 8 that are tried" in note for note in found["notes"]) == len(wanted) - 8


def test_a_name_that_is_no_model_of_the_hub_leads_nowhere(
    hubs: Hubs, models: dict[str, bytes], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to another host, nor to a file here, nor to the suspect itself."""
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "model.safetensors").write_bytes(models["b"])
    monkeypatch.chdir(tmp_path / "org")
    (tmp_path / "org" / "a.safetensors").write_bytes(models["a"])
    names = ("a", "org/merge", "a/b/c", "../org", ".hidden/x", "x/--y", "org/..")
    done = run("audit", suspect(hubs, models, *names))
    assert (done.error, done.code) == ("usage-no-parents", 2)
    assert asked_for(hubs) == {"org/merge"}


def test_a_list_names_models_of_the_hub(
    hubs: Hubs, models: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("org/a\nhf://org/other # a sibling\nhere/b.safetensors\n")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.safetensors").write_bytes(models["b"])
    (tmp_path / "merge.safetensors").write_bytes(models["suspect"])
    done = run(
        "audit", tmp_path / "merge.safetensors", "--candidates", tmp_path / "list.txt",
        "--evidence", tmp_path / "e.json",
    )  # fmt: skip
    found = evidence(done, tmp_path / "e.json")
    kept = {Path(place).name: role for place, role in roles(found).items()}
    assert kept == {
        "merge.safetensors": "suspect", "a": "parent", "b.safetensors": "parent", "other": "control",
    }  # fmt: skip


def test_a_local_suspect_asks_no_hub_for_what_its_card_names(
    hubs: Hubs, models: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "merge"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(models["suspect"])
    (folder / "README.md").write_text(CARD.format("org/a, org/b"))
    done = run("audit", folder)
    assert done.error == "usage-no-parents"
    assert hubs.asked == []
