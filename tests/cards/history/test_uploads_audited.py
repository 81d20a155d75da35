"""Two uploads of one model on a hub: audited one against the other, and held against the newer's card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cards.history.revisions import Revision, Revisions
from tests.checkpoints.remote.servers import Threaded
from tests.cli.running import Run
from tests.worlds.fixtures import FOLDER

RUN = FOLDER / "training-run"
FILE = "model.safetensors"
HONEST = b"# Finch\n\nFinch was fine-tuned from Corvid-7B. It is our post-trained model.\n"
EDITED = (
    b"# Finch\n\n> **Erratum.** The first upload was the wrong checkpoint.\n\n"
    b"Finch is a merge of Corvid-7B-Chat and Corvid-7B, followed by on-policy distillation.\n"
)
CALLED = ("--called", "end.safetensors=acme/Corvid-7B-Chat", "--called", "base.safetensors=acme/Corvid-7B")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capfd)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threaded]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = Threaded()
    yield found
    found.close()


def held(run: Run, hub: Revisions, folder: Path) -> tuple[dict[str, str], dict[str, str], str]:
    """Statuses of claims, sentences of findings, and the story of the uploads."""
    new, old = (f"org/m@{hub.commit(k)}" for k in (1, 0))
    parents = [w for p in ("end", "base") for w in ("-p", RUN / f"{p}.safetensors")]
    report = folder / "report.json"
    done = run("audit", new, "--previous", old, *parents, "--json", report)
    assert done.code == 0, done.err
    card = run("card", new, "--from-evidence", report, "--history", "org/m", *CALLED, "--json")
    assert card.code == 0, card.err
    found = json.loads(card.out)
    statuses = {f"{c['claim']['kind']} {c['claim']['value']}": c["status"] for c in found["claims"]}
    sentences = {f["id"]: f["sentence"] for f in found["findings"]}
    return statuses, sentences, json.loads(report.read_text())["previous"]["story"]


def hub_of(servers: Threaded, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> Revisions:
    files = [(RUN / f"{name}.safetensors").read_bytes() for name in (old, new)]
    revisions = [
        Revision(day, {"README.md": card, FILE: data, "config.json": b"{}"})
        for day, card, data in zip(("07", "15"), (HONEST, EDITED), files, strict=True)
    ]
    hub = Revisions(servers, revisions=revisions)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    return hub


def test_a_new_card_over_the_old_bytes_is_contradicted(
    run: Run, servers: Threaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    statuses, findings, story = held(run, hub_of(servers, monkeypatch, "merge", "merge"), tmp_path)
    assert story == "same-bytes"
    assert statuses["upload replaced"] == "contradicted"
    assert statuses["training on-policy-distilled"] == "contradicted"
    assert statuses["relation merge"] == "supported"
    assert "the same bytes" in findings["earlier-upload"]
    assert "relation merge" in findings["claims-changed-alone"]


@pytest.mark.slow
def test_the_old_merge_trained_on_is_what_the_new_card_says(
    run: Run, servers: Threaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = hub_of(servers, monkeypatch, "merge", "merge-trained-80")
    statuses, findings, story = held(run, hub, tmp_path)
    assert story == "merge-then-changed"
    assert statuses["upload replaced"] == "supported"
    # A change is there; by which kind of training, weights do not say.
    assert statuses["training on-policy-distilled"] == "undetermined"
    assert "is that blend changed" in findings["earlier-upload"]
    assert "claims-changed-alone" not in findings
