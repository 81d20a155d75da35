"""The plan of an audit: what it says is what is then read, and no weight is read for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.remote.servers import Hubs, Site
from tests.cli.networks import (
    HEADERS,
    TENSORS,
    Audit,
    plain,
    received,
    suspect,
)
from tests.cli.running import MERGEKIT, Run


def plan(audit: Audit, *more: str | Path) -> dict[str, Any]:
    done = audit("--dry-run", "--json", "-", *more)
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    assert (found["schema"], found["version"]) == ("parentage.plan", 1)
    return found


def test_headers_alone_are_read_for_a_plan_and_it_says_what_the_audit_takes(
    audit: Audit,
    tmp_path: Path,
) -> None:
    found = plan(audit)
    assert received(audit.site) == HEADERS
    assert found["spent"]["nbytes"] == HEADERS
    assert found["spent"]["requests"] == len(audit.site.asked)
    audit.site.asked.clear()
    assert audit("--evidence", tmp_path / "e.json").code == 0
    planned = sum(m["reading"]["nbytes"] for m in found["models"])
    assert received(audit.site) == HEADERS + planned
    ranges = [a for a in audit.site.gets if a.range is not None]
    assert len(ranges) == len(found["models"]) + sum(m["reading"]["requests"] for m in found["models"])
    assert len(audit.site.asked) <= found["stages"][0]["total"]["requests"]
    assert [m["role"] for m in found["models"]] == ["suspect", "parent", "parent", "control"]
    examined = sum(t["examined"] for t in plain(tmp_path / "e.json")["tensors"])
    assert sum(c["elements_read"] for c in found["components"]) == examined
    assert [s["elements"] for s in found["stages"]] == [4096, 16_384, 65_536]
    totals = [s["total"]["nbytes"] for s in found["stages"]]
    assert totals == sorted(set(totals))


def test_a_plan_names_what_the_budget_leaves_out(audit: Audit, tmp_path: Path) -> None:
    found = plan(audit, "--budget", "500kB")
    audit("--budget", "500kB", "--evidence", tmp_path / "e.json")
    left_out = plain(tmp_path / "e.json")["used"]["left_out"]
    assert [n["tensor"] for n in found["not_read"]] == left_out
    assert found["budget"] == "500,000 bytes"
    assert sum(c["tensors"] for c in found["components"]) == TENSORS - len(left_out)
    assert [s["fits"] for s in found["stages"]] == [True, False, False]


def test_a_plan_bounds_what_may_be_read_beside_the_sample(audit: Audit) -> None:
    free, paid = plan(audit)["looks"], plan(audit, "--budget", "10MB")["looks"]
    assert free["layers"] == {"nbytes": 0, "requests": 0}
    assert 0 < paid["orders"]["nbytes"] < 5_000_000 < free["orders"]["nbytes"]
    stored = sum(len(data) for data in audit.site.files.values())
    assert 0 < paid["methods"]["nbytes"] < free["methods"]["nbytes"] < stored


def test_a_plan_is_told_in_words(audit: Audit) -> None:
    done = audit("--dry-run")
    assert done.code == 0
    assert done.out.startswith("Nothing was read but headers and cards.")
    for words in (
        "other (control): 8 tensors in 1 files",
        "numbers of a tensor",
        "s of network",
        "mlp: 4",
        "where units stand",
    ):
        assert words in done.out


def test_local_models_cost_no_network(run: Run) -> None:
    done = run(
        "audit", MERGEKIT / "linear.safetensors", "-p", MERGEKIT / "A.safetensors",
        "-p", MERGEKIT / "O.safetensors", "--dry-run", "--json", "-",
    )  # fmt: skip
    found = json.loads(done.out)
    assert found["stages"] == [{"elements": 65_536, "total": {"nbytes": 0, "requests": 0}, "fits": True}]
    assert found["seconds_network"] == 0


def test_processor_time_grows_with_what_is_asked_for(audit: Audit, run: Run) -> None:
    first = plan(audit, "--sample", "4096")["processor"]
    # The site's files are not hashed here.
    assert (first["digests"], first["full_pass"]) == (0, 0)
    assert plan(audit, "--sample", "16384")["processor"]["measures"] > first["measures"] > 0
    assert plan(audit, "--sample", "4096", "--full")["processor"]["full_pass"] > 0
    local = ("audit", MERGEKIT / "linear.safetensors", "-p", MERGEKIT / "A.safetensors", "--dry-run")
    assert json.loads(run(*local, "--json", "-").out)["processor"]["digests"] > 0
    assert json.loads(run(*local, "--json", "-", "--no-digests").out)["processor"]["digests"] == 0
    assert "of one core, an estimate" in run(*local).out


def test_a_plan_is_written_to_a_file_and_told(audit: Audit, tmp_path: Path) -> None:
    done = audit("--dry-run", "--json", tmp_path / "p.json")
    assert plain(tmp_path / "p.json")["schema"] == "parentage.plan"
    assert "Nothing was read" in done.out


def test_candidates_of_a_hub_are_planned_and_none_is_looked_at(
    hubs: Hubs,
    models: dict[str, bytes],
    run: Run,
) -> None:
    place = suspect(hubs, models, "org/a", "org/b", "org/gone")
    done = run("audit", place, "--dry-run", "--json", "-")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [(m["locator"], m["role"]) for m in found["models"]] == [
        ("org/merge", "suspect"), ("hf://org/a", "candidate"), ("hf://org/b", "candidate"),
    ]  # fmt: skip
    assert any("hf://org/gone: set aside" in n for n in found["notes"])
    weights = [a for h in hubs.repositories.values() for a in h.storage.gets if a.range is not None]
    assert {a.range[0] for a in weights if a.range is not None} == {0}


@pytest.mark.parametrize("option", ["--budget=20kB", "--budget-requests=3"])
def test_a_budget_that_opens_no_model_makes_no_plan(option: str, audit: Audit) -> None:
    done = audit("--dry-run", option)
    assert (done.error, done.code, done.out) == ("budget-spent", 4, "")


def test_the_site_of_these_tests_is_the_budgets(site: Site, files: dict[str, bytes]) -> None:
    assert set(site.files) == set(files)
