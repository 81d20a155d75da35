"""The benchmarks are scripts beside a package: their folder is put where imports look."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")
if BENCHMARKS not in sys.path:
    sys.path.insert(0, BENCHMARKS)


@pytest.fixture(scope="module")
def small_hub() -> Iterator[str]:
    """The address of the miniature, served by a process of its own."""
    from virtual_hub_parts.process import serving
    from virtual_hub_parts.server import Conditions

    with serving(small=True, conditions=Conditions()) as address:
        yield address
