"""No command's memory grows with the size of a tensor, and none needs more than 500 MB."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from parentage.records.dtypes import DType
from tests.memory.large import Large, peak_mebibytes, write_large

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"
)

COMMANDS = ["audit --full", "audit", "inspect --digests", "diff --full"]
# What 268 MiB more of each of three models may add: buffers are as large for either.
GROWTH = 32
LIMIT = 500


def arguments(command: str, models: Large) -> Sequence[str | Path]:
    if command == "inspect --digests":
        return ("inspect", models.suspect, "--digests")
    if command == "diff --full":
        return ("diff", models.suspect, models.first, "--full")
    given = ("audit", models.suspect, "-p", models.first, "-p", models.second, "--workers", "2")
    return (*given, "--full") if command == "audit --full" else given


@pytest.fixture(scope="module", params=[DType.BF16, pytest.param(DType.F32, marks=pytest.mark.slow)])
def sizes(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Large, Large]]:
    """Models of 32 and of 300 MiB, deleted afterwards."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small", folder / "large"
        small.mkdir()
        large.mkdir()
        yield folder, write_large(small, 32, request.param), write_large(large, 300, request.param)


@pytest.mark.parametrize(
    "command",
    ["audit --full", "inspect --digests"]
    + [pytest.param(c, marks=pytest.mark.slow) for c in ("audit", "diff --full")],
)
def test_peak_memory_does_not_grow_with_a_tensor(command: str, sizes: tuple[Path, Large, Large]) -> None:
    folder, small, large = sizes
    # Compiling on first use takes memory too; the second run finds what the first left.
    peak_mebibytes(folder, *arguments(command, small))
    before = peak_mebibytes(folder, *arguments(command, small))
    after = peak_mebibytes(folder, *arguments(command, large))
    assert after <= before + GROWTH
    assert after <= LIMIT


@pytest.fixture(scope="module")
def four_gigabytes() -> Iterator[tuple[Path, Large]]:
    """Three models with one tensor of 4 GB each: 12 GB of disk, given back afterwards."""
    with TemporaryDirectory() as name:
        yield Path(name), write_large(Path(name), 4_000_000_000 // 2**20)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_tensor_of_four_gigabytes_is_examined_within_500_megabytes(
    command: str, four_gigabytes: tuple[Path, Large]
) -> None:
    folder, models = four_gigabytes
    assert peak_mebibytes(folder, *arguments(command, models)) <= LIMIT


@pytest.mark.slow
def test_the_full_audit_of_four_gigabytes_finds_the_merge_in_every_element(
    four_gigabytes: tuple[Path, Large],
) -> None:
    folder, models = four_gigabytes
    report = folder / "report.json"
    peak_mebibytes(folder, *arguments("audit --full", models), "--no-digests", "--json", report)
    found = json.loads(report.read_text())
    assert found["verdict"]["relation"] == "linear-merge"
    assert found["replay"]["match"] == 1.0
    assert found["coverage"]["elements_examined"] == models.elements
