"""What fuzzing found: each kept file is refused as it was when it was found, at little cost.

The files are written by ``python -m tests.hostile.fuzz --keep``; their names are the format, the code that
refused the file, and a digest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.hostile.fuzz import FOUND, NAMES, Fault, examined

FILES = sorted(p.name for p in FOUND.iterdir() if p.name.count(".") == 2)


def test_every_reader_of_headers_has_files_that_were_found() -> None:
    assert {name.split(".")[0] for name in FILES} == set(NAMES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_found_is_refused_as_it_was(name: str, tmp_path: Path) -> None:
    kind, code, digest = name.split(".")
    raw = (FOUND / name).read_bytes()
    assert hashlib.sha256(raw).hexdigest().startswith(digest)
    path = tmp_path / NAMES[kind]
    path.write_bytes(raw)
    assert examined(path) == code


def test_a_file_that_takes_too_much_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAMES["gguf"]
    path.write_bytes((FOUND / next(n for n in FILES if n.startswith("gguf"))).read_bytes())
    monkeypatch.setattr("tests.hostile.fuzz.MEMORY", 10)
    with pytest.raises(Fault, match="MiB"):
        examined(path)
