"""What `make affair` installs is what the extra asks for, in exact versions."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def _pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name.lower(): str(r.specifier).removeprefix("==") for r in found}


def test_every_package_of_the_extra_is_pinned_to_a_version_that_it_allows() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    pinned = _pinned("requirements.lock") | _pinned("requirements-training.lock")
    for words in (*extras["training"], *extras["search"]):
        asked = Requirement(words)
        assert asked.specifier.contains(pinned[asked.name.lower()]), words


def test_no_package_is_pinned_twice() -> None:
    assert not _pinned("requirements.lock").keys() & _pinned("requirements-training.lock").keys()
