"""Archives have one layout: equal members are equal bytes, and each other byte is refused with a code."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentage.cards.archives import archive_bytes, members_of, packed, read_archive
from parentage.errors import EvidenceError, LabelError, ParentageError
from parentage.records.archive import Manifest

NAMES = st.from_regex(r"[a-z0-9]{1,6}(/[a-z0-9]{1,6})?", fullmatch=True)
EMPTY = Manifest({"name": "parentage", "version": "0"}, {}, "suspect", (), ())
TWO = {"a.json": b"{}", "b/c.json": b"[1]"}
ZIP = archive_bytes(TWO)


def made(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP file as others write them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, data in entries:
            file.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return stream.getvalue()


@given(st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=5))
def test_what_is_written_is_read_whatever_the_order(members: dict[str, bytes]) -> None:
    raw = archive_bytes(members)
    assert members_of(raw, "x") == members
    assert archive_bytes(dict(reversed(members.items()))) == raw


def test_other_programs_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(ZIP)) as file:
        assert file.testzip() is None
        assert {n: file.read(n) for n in file.namelist()} == TWO
        assert {i.date_time for i in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_no_byte_can_be_changed_cut_or_added_unseen() -> None:
    for at in range(len(ZIP)):
        changed = bytearray(ZIP)
        changed[at] ^= 0x01
        try:
            found = members_of(bytes(changed), "x")
        except ParentageError:
            continue
        # A letter of a name may become another letter: then it is another member, which manifests tell.
        assert set(found) != set(TWO), at
    for end in range(len(ZIP)):
        with pytest.raises(ParentageError):
            members_of(ZIP[:end], "x")
    for raw in (ZIP + b"\0", b"\0" + ZIP, ZIP[:-22] + ZIP, ZIP + ZIP):
        with pytest.raises(ParentageError):
            members_of(raw, "x")


BOMB = made(("a.json", b"\0" * 1_000_000), method=zipfile.ZIP_DEFLATED)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "no ZIP": (b"{}", "archive-not-zip"),
    "empty": (made(), "archive-not-zip"),
    "a bomb": (BOMB, "archive-compressed"),
    "out of its folder": (made(("../a.json", b"{}")), "archive-name"),
    "from the root": (made(("/etc/passwd", b"{}")), "archive-name"),
    "of another system": (made(("C:\\a.json", b"{}")), "archive-name"),
    "hidden": (made((".a", b"{}")), "archive-name"),
    "a long name": (made(("a" * 300, b"{}")), "archive-name"),
    "another script": (made(("а.json", b"{}")), "archive-name"),
    "a control sign": (made(("a\x1b[2J", b"{}")), "archive-name"),
    "many": (made(*((f"n{k}", b"") for k in range(2_001))), "archive-too-many"),
    "cut short": (ZIP[:37], "archive-cut"),
    "a size of four gigabytes": (
        ZIP[:18] + struct.pack("<2I", 2**32 - 1, 2**32 - 1) + ZIP[26:],
        "archive-cut",
    ),
    "other dates": (made(("a.json", b"{}")), "archive-layout"),
    "a word at its end": (ZIP + b"hidden", "archive-layout"),
    "another order": (archive_bytes({"b": b""})[:31] + archive_bytes({"a": b""}), "archive-layout"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_way_to_lie_has_one_code(name: str) -> None:
    raw, code = HOSTILE[name]
    with pytest.raises(EvidenceError) as raised:
        members_of(raw, "x.zip")
    assert raised.value.code == code
    assert "x.zip" in raised.value.where


def test_a_name_twice_is_refused_also_in_other_letters() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = made(("a.json", b"{}"), ("a.json", b"[]"))
    # As ours, but for the second member.
    head = archive_bytes({"a.json": b"{}"})
    body = head[: 30 + 6 + 2]
    for raw in (body + body, body + body.replace(b"a.json", b"A.json"), body + twice):
        with pytest.raises(EvidenceError) as raised:
            members_of(raw, "x")
        assert raised.value.code in ("archive-twice", "archive-layout")
    with pytest.raises(EvidenceError) as raised:
        members_of(body + body, "x")
    assert raised.value.code == "archive-twice"


def listed(members: dict[str, bytes]) -> bytes:
    """Members with a manifest that lists all of ``TWO``."""
    from hashlib import sha256

    from parentage.records.archive import Member

    entries = tuple(Member(n, sha256(d).hexdigest(), len(d), "") for n, d in sorted(TWO.items()))
    manifest = Manifest(EMPTY.tool, {}, "suspect", entries, ())
    return packed(manifest, members, None)


CHANGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "changed": (lambda: listed({**TWO, "a.json": b"{ }"}), "archive-member-changed"),
    "missing": (lambda: listed({"a.json": b"{}"}), "archive-member-missing"),
    "extra": (lambda: listed({**TWO, "z.json": b"{}"}), "archive-member-extra"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_members_are_those_of_the_manifest(name: str, tmp_path: Path) -> None:
    make, code = CHANGED[name]
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    with pytest.raises(LabelError) as raised:
        read_archive(path)
    assert raised.value.code == code


def test_an_archive_needs_a_manifest_and_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(ZIP)
    with pytest.raises(EvidenceError) as raised:
        read_archive(path)
    assert raised.value.code == "archive-manifest"
    monkeypatch.setattr("parentage.cards.archives.MOST_BYTES", 10)
    with pytest.raises(EvidenceError) as raised:
        read_archive(path)
    assert raised.value.code == "archive-too-large"
