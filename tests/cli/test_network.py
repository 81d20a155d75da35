"""Audits of models on a server: what a budget ends before, and what a killed run leaves to the next."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from aiohttp import web

from parentage.cli.quantities import parse_bytes
from parentage.errors import EvidenceError
from parentage.evidence.rederive import stored_options
from tests.checkpoints.remote.servers import Site
from tests.cli.networks import (
    HEADERS,
    SHORT,
    TENSORS,
    Audit,
    command,
    plain,
    received,
)
from tests.cli.running import SPAWN, Run
from tests.worlds.on_a_server import merge_world, packed


def test_a_budget_that_suffices_changes_nothing_of_what_is_measured(audit: Audit, tmp_path: Path) -> None:
    assert audit("--evidence", tmp_path / "free.json").code == 0
    assert audit("--evidence", tmp_path / "paid.json", "--budget", "50MB").code == 0
    free, paid = plain(tmp_path / "free.json"), plain(tmp_path / "paid.json")
    assert paid["used"].pop("left_out") == []
    assert paid["used"].pop("budget") == {"bytes": 50_000_000, "requests": None}
    # What a look for other orders would be allowed; none was needed.
    assert paid["used"].pop("look") != free["used"].pop("look")
    assert paid.pop("asked") != free.pop("asked")
    assert paid == free


def test_a_budget_that_ends_is_an_honest_stop_and_verifies(audit: Audit, tmp_path: Path) -> None:
    saved = tmp_path / "e.json"
    done = audit("--budget", str(SHORT), "--evidence", saved, "--json", tmp_path / "r.json")
    assert (done.error, done.code) == ("budget-spent", 4)
    assert HEADERS < received(audit.site) <= SHORT
    evidence, report = plain(saved), plain(tmp_path / "r.json")
    left_out, coverage = evidence["used"]["left_out"], report["coverage"]
    assert 0 < coverage["tensors_examined"] < TENSORS
    assert len(left_out) == TENSORS - coverage["tensors_examined"]
    reasons = {n["tensor"]: n["reason"] for n in coverage["not_examined"]}
    assert set(reasons) == set(left_out)
    assert set(reasons.values()) == {f"the budget of {SHORT:,} bytes ended before it was read"}
    assert {t["name"] for t in evidence["tensors"]}.isdisjoint(left_out)
    assert report["verdict"]["relation"] == "linear-merge"
    done = audit.run("verify", saved)
    assert done.code == 0, done.out
    evidence["used"]["left_out"].pop()
    saved.write_text(json.dumps(evidence))
    assert audit.run("verify", saved).code == 5


def test_a_stranger_verifies_with_models_that_were_downloaded_since(audit: Audit, tmp_path: Path) -> None:
    saved, places = tmp_path / "e.json", []
    assert audit("--evidence", saved).code == 0
    for place, data in audit.site.files.items():
        folder = tmp_path / place.split("/")[1]
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(data)
        places += ["--model", f"{folder.name}={folder}"]
    audit.site.files.clear()
    done = audit.run("verify", saved, *places)
    assert done.code == 0, done.out
    (tmp_path / "a" / "model.safetensors").write_bytes((tmp_path / "b" / "model.safetensors").read_bytes())
    assert audit.run("verify", saved, *places).code == 5


def test_a_budget_of_requests_ends_too(audit: Audit, tmp_path: Path) -> None:
    done = audit("--budget-requests", "120", "--json", tmp_path / "r.json")
    assert (done.error, done.code) == ("budget-spent", 4)
    assert len(audit.site.asked) <= 120
    assert 0 < plain(tmp_path / "r.json")["coverage"]["tensors_examined"] < TENSORS


def test_a_budget_that_opens_no_model_ends_before_any_report(audit: Audit, tmp_path: Path) -> None:
    done = audit("--budget", "20kB", "--json", tmp_path / "r.json")
    assert (done.error, done.code) == ("budget-spent", 4)
    assert not (tmp_path / "r.json").exists()


def test_a_budget_that_reads_no_tensor_says_so(audit: Audit, tmp_path: Path) -> None:
    done = audit("--budget", "410kB", "--json", tmp_path / "r.json")
    assert (done.error, done.code) == ("budget-spent", 4)
    report = plain(tmp_path / "r.json")
    assert report["coverage"]["elements_examined"] == 0
    assert report["verdict"]["status"] == "undetermined"


@pytest.mark.parametrize(
    ("budget", "left_out"),
    [
        ({"bytes": -1}, []),
        ("much", []),
        ({"bytes": True}, []),
        (None, []),
        ({}, "w"),
        ({}, [1]),
        ({}, None),
    ],
)
def test_a_budget_that_is_none_is_refused(budget: object, left_out: object) -> None:
    used = {"sample": 4096, "seed": 0, "run": 2048, "full": False, "digests": True}
    with pytest.raises(EvidenceError) as caught:
        stored_options({**used, "budget": budget, "left_out": left_out}, 1)
    assert caught.value.code == "evidence-used"


def test_a_killed_audit_goes_on_and_measures_the_same(audit: Audit, tmp_path: Path) -> None:
    site, cache = audit.site, ("--cache", tmp_path / "slices", "--budget", "2MB")
    assert audit("--budget", "2MB", "--evidence", tmp_path / "whole.json").code == 0
    once = received(site)
    site.asked.clear()

    async def stalled(request: web.Request, number: int) -> None:
        """Two of the models answer, and nothing but their headers comes of the others."""
        header = request.headers.get("Range", "").startswith("bytes=0-")
        if request.path.startswith(("/b/", "/other/")) and "Range" in request.headers and not header:
            await asyncio.sleep(60)

    site.fault = stalled
    child = subprocess.Popen(
        [*SPAWN, *map(str, command(site, *cache))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    half = HEADERS + (once - HEADERS) // 2
    while kept_in(tmp_path / "slices") < half:
        assert child.poll() is None
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = kept_in(tmp_path / "slices")
    assert kept == half < once
    site.asked.clear()
    site.fault = None
    assert audit(*cache, "--evidence", tmp_path / "resumed.json").code == 0
    # Headers, whose answers name the version of a file, and what was not there yet.
    assert received(site) == once - (kept - HEADERS)
    assert (tmp_path / "resumed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    site.asked.clear()
    assert audit(*cache, "--evidence", tmp_path / "third.json").code == 0
    assert received(site) == HEADERS
    assert (tmp_path / "third.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def kept_in(folder: Path) -> int:
    """Bytes of whole slices."""
    return sum(p.stat().st_size - 32 for p in folder.rglob("*-*") if p.name[0].isdigit() and p.is_file())


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("100", 100),
        ("100MB", 10**8),
        ("1.5 GiB", 3 * 2**29),
        ("2kb", 2000),
        ("7 KiB", 7168),
        ("1TB", 10**12),
    ],
)
def test_amounts_are_read_as_people_write_them(said: str, meant: int) -> None:
    assert parse_bytes(said, "--budget") == meant


@pytest.mark.parametrize("said", ["", "MB", "-1MB", "1e9", "١٠MB", "10 bananas", "1..5MB", "1XB", "nan"])
def test_what_is_no_amount_is_refused(said: str, run: Run, tmp_path: Path) -> None:
    done = run("audit", tmp_path / "absent", "-p", "x", f"--budget={said}")
    assert (done.error, done.code) == ("usage-amount", 2)


def changed_site(site: Site, change: float) -> None:
    models = merge_world(layers=2, change=change)
    site.files = {f"/{n}/model.safetensors": packed(tensors) for n, tensors in models.items()}


def test_what_one_stage_answers_is_read_no_further(audit: Audit, tmp_path: Path) -> None:
    assert audit("--evidence", tmp_path / "e.json").code == 0
    found = plain(tmp_path / "e.json")
    assert found["used"]["stages"] == [4096, 16_384, 65_536]
    assert found["used"]["reached"] == {}
    reading = found["reading"]
    assert reading["ended"] == "every component's question was answered"
    assert [(c["component"], c["outcome"], c["stages"]) for c in reading["components"]] == [
        ("attention", "blend", 1),
        ("mlp", "blend", 1),
    ]
    assert all(c["for_blend"] > reading["needed"] for c in reading["components"])
    assert all(c["weight"]["low"] <= 0.6 <= c["weight"]["high"] for c in reading["components"])


def test_what_it_leaves_open_is_read_further_and_verifies(audit: Audit, tmp_path: Path) -> None:
    """A later change of .9 grid steps: two runs of a tensor do not show the grid, more do."""
    changed_site(audit.site, 1.1e-4)
    assert audit("--evidence", tmp_path / "e.json", "--workers", "2").code == 0
    found = plain(tmp_path / "e.json")
    assert max(found["used"]["reached"].values()) > 1
    for tensor in found["tensors"]:
        stages = found["used"]["reached"].get(tensor["component"], 1)
        assert tensor["examined"] > 4096 * stages or stages == 1
    assert {c["outcome"] for c in found["reading"]["components"]} == {"blend"}
    assert audit("--evidence", tmp_path / "again.json", "--workers", "1").code == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "e.json").read_bytes()
    found["reading"]["components"][0]["for_blend"] += 1.0
    (tmp_path / "lie.json").write_text(json.dumps(found))
    done = audit.run("verify", tmp_path / "lie.json", "--json")
    assert [v["path"] for v in json.loads(done.out)["values"]] == ["reading.components[0].for_blend"]


def test_a_budget_ends_reading_between_two_stages(audit: Audit, tmp_path: Path) -> None:
    changed_site(audit.site, 1.1e-4)
    assert audit("--budget", "600kB", "--evidence", tmp_path / "e.json").code == 0
    assert received(audit.site) <= 600_000
    found = plain(tmp_path / "e.json")
    assert found["used"]["left_out"] == []
    assert found["used"]["reached"] == {}
    assert found["reading"]["ended"].startswith("the next stage exceeds the budget of 600,000 bytes; open:")


@pytest.mark.parametrize(
    ("stages", "reached"),
    [
        ([4096, 4096], {}), ([4096, 2**21], {}), ([1024, 4096], {}), ("4096", {}), (None, {}), ([], {}),
        ([4096, 8192], {"mlp": 3}), ([4096, 8192], {"mlp": True}), ([4096, 8192], None),
        ([4096, *range(5000, 5008)], {}), ([4096, "8192"], {}),
    ],
)  # fmt: skip
def test_stages_that_are_none_are_refused(stages: object, reached: object) -> None:
    used = {"sample": 4096, "seed": 0, "run": 2048, "full": False, "digests": True}
    with pytest.raises(EvidenceError) as caught:
        stored_options({**used, "stages": stages, "reached": reached}, 1)
    assert caught.value.code == "evidence-used"
