"""Reports from elsewhere: refused by code where they contradict themselves, and never obeyed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.errors import UsageError
from parentage.numerics.published.rounding_bias import GAUSSIAN, Origin, centred, stored_pairs
from parentage.reports.registry import renderer
from tests.cli.running import MERGEKIT, Run

Plain = dict[str, Any]


@pytest.fixture(scope="module")
def plain() -> Plain:
    found = api.audit(
        str(MERGEKIT / "linear.safetensors"),
        parents=[str(MERGEKIT / f"{n}.safetensors") for n in "AO"],
        workers=1,
        digests=False,
    )
    loaded: Plain = json.loads(api.render_json(found.report))
    return loaded


def refused(run: Run, path: Path, code: str, where: str) -> None:
    for options in ([], ["--html", path.with_suffix(".html")], ["--json", "-"]):
        done = run("report", path, *options)
        assert (done.error, done.code, done.out) == (code, 2, "")
        assert where in done.err
    assert not path.with_suffix(".html").exists()


def edited(plain: Plain, path: str, value: Any) -> Plain:
    changed: Any = copy.deepcopy(plain)
    *parents, last = path.split("/")
    holder = changed
    for key in parents:
        holder = holder[int(key)] if key.isdigit() else holder[key]
    holder[int(last) if last.isdigit() else last] = value
    result: Plain = changed
    return result


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("verdict/status", "guilty", "report-status"),
        ("post_training/status", "", "report-status"),
        ("consistency_curve/suspect", [1.0], "report-inconsistent"),
        ("offset_histogram", {"-1": 1, "x": 2}, "report-inconsistent"),
        ("offset_histogram", {"١": 1}, "report-inconsistent"),
        ("offset_histogram/-1", -1, "report-inconsistent"),
        ("verdict", None, "record-shape"),
        ("verdict/parents/0/weight/low", "0.6", "record-shape"),
        ("coverage/elements", 10**30, "record-shape"),
        ("tensors", {}, "record-shape"),
        ("schema", "parentage.inspection", "file-wrong-schema"),
        ("version", 99, "file-newer-version"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused_at_its_place(
    path: str, value: Any, code: str, run: Run, plain: Plain, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps(edited(plain, path, value)))
    refused(run, file, code, "" if code.startswith("file-") else path.split("/", maxsplit=1)[0])


HOSTILE = "\x1b[2J\u202e<script>alert(1)</script>[bold]\n"


def test_hostile_text_in_a_report_is_shown_by_its_escapes(run: Run, plain: Plain, tmp_path: Path) -> None:
    changed = copy.deepcopy(plain)
    changed["verdict"]["sentence"] = HOSTILE
    changed["verdict"]["limits"] = [HOSTILE]
    changed["suspect"]["locator"] = HOSTILE
    changed["asked"] = {HOSTILE: [HOSTILE]}
    for tensor in changed["tensors"]:
        tensor["name"] += HOSTILE
        tensor["component"] = tensor["role"] = HOSTILE
    file, html = tmp_path / "r.json", tmp_path / "r.html"
    file.write_text(json.dumps(changed))
    said = [run("report", file), run("report", file, "--html", html)]
    assert [done.code for done in said] == [0, 0]
    for text in (*(done.out + done.err for done in said), html.read_text()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>alert" not in html.read_text()


def test_a_renderer_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError) as caught:
        renderer("pdf")
    assert caught.value.code == "renderer-unknown"
    assert "html" in caught.value.hint


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_delta_without_a_size_is_refused(size: float) -> None:
    """What a caller from Python may pass to the rounding model."""
    with pytest.raises(UsageError) as caught:
        stored_pairs(weights=centred(GAUSSIAN, 0.05), delta=GAUSSIAN, size=size, origin=Origin.STORED)
    assert caught.value.code == "delta-size"
