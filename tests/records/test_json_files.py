"""Files are written whole or not at all, and read back only when they are what they say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from parentage.errors import EvidenceError, InputMissingError, OutputError
from parentage.records.json_files import check_writable, dumps, load_json, loads, write_json, write_text

SCHEMA = {"schema": "parentage.test", "version": 1}


def load(path: Path) -> dict[str, object]:
    return load_json(path, schema="parentage.test", version=1)


@pytest.mark.parametrize("compact", [True, False])
def test_what_is_written_is_read_back(compact: bool, tmp_path: Path) -> None:
    payload = {**SCHEMA, "é": ["\u202e", 1, 0.1, None, True], "nested": {"a": [{}]}}
    write_json(tmp_path / "x.json", payload, compact=compact)
    assert load(tmp_path / "x.json") == payload
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have_is_never_written(value: float, tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write_json(tmp_path / "x.json", {**SCHEMA, "x": value})
    assert caught.value.code == "output-not-finite"
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_keys_is_kept_and_the_text_ends_with_a_line_feed() -> None:
    assert dumps({"b": 1, "a": 2}, compact=True) == '{"b":1,"a":2}\n'


def test_half_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {**SCHEMA, "name": "\udcff"})
    assert load(tmp_path / "x.json")["name"] == "\udcff"


def test_a_link_is_written_through_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


def test_a_planted_file_of_the_partial_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"x.{os.getpid()}.partial").symlink_to(victim)
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / "x", "text")
    assert caught.value.code == "output-not-written"
    assert victim.read_text() == "precious"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / "x", "new")
    assert caught.value.code == "output-no-space"
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_trying_whether_a_file_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    check_writable(tmp_path / "x")
    check_writable(tmp_path / "y")
    check_writable(Path("/dev/null"))
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(("name", "code"), [(".", "output-is-folder"), ("absent/x", "output-not-written")])
def test_it_is_refused_as_writing_would_be(name: str, code: str, tmp_path: Path) -> None:
    for attempt in (check_writable, lambda path: write_text(path, "text")):
        with pytest.raises(OutputError) as caught:
            attempt(tmp_path / name)
        assert caught.value.code == code
        assert caught.value.hint


def test_a_file_that_just_fits_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    raw = json.dumps(SCHEMA).encode()
    (tmp_path / "x").write_bytes(raw)
    limits: dict[str, Any] = {"schema": "parentage.test", "version": 1}
    assert load_json(tmp_path / "x", **limits, max_bytes=len(raw)) == SCHEMA
    with pytest.raises(EvidenceError) as caught:
        load_json(tmp_path / "x", **limits, max_bytes=len(raw) - 1)
    assert caught.value.code == "file-too-large"


def test_an_older_version_is_read_and_a_newer_one_refused() -> None:
    old, new = (json.dumps({**SCHEMA, "version": n}).encode() for n in (1, 3))
    assert loads(old, schema="parentage.test", version=2)["version"] == 1
    with pytest.raises(EvidenceError) as caught:
        loads(new, schema="parentage.test", version=2)
    assert caught.value.code == "file-newer-version"


@pytest.mark.parametrize(
    ("name", "code"),
    [("absent", "input-missing"), ("file/x", "input-missing"), ("fifo", "input-not-file"),
     (".", "input-not-file"), ("n" * 300, "input-unreadable"), ("a\0b", "input-missing")],
)  # fmt: skip
def test_what_cannot_be_read_is_named(name: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputMissingError) as caught:
        load(tmp_path / name)
    assert (caught.value.code, caught.value.where) == (code, str(tmp_path / name))
    assert caught.value.hint
