"""A merge's memory does not grow with a tensor, whatever the method; never more than 500 MB in all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from parentage.records.dtypes import DType
from tests.memory.large import Large, peak_mebibytes, write_large
from tests.merging.models import recipe_file

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"
)
# Buffers are as large for either size.
GROWTH = 32
LIMIT = 500


@pytest.fixture(scope="module")
def sizes() -> Iterator[tuple[Path, Large, Large]]:
    """Models of 32 and of 300 MiB, one tensor each."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("small", "large"):
            (folder / part).mkdir()
        yield (
            folder,
            write_large(folder / "small", 32, DType.BF16),
            write_large(folder / "large", 300, DType.BF16),
        )


def peak(folder: Path, models: Large, method: str, command: str, *more: str) -> float:
    """Of one merge, or of a replay of it; ``more``: arguments of the merge."""
    entries = [{"model": str(m), "parameters": {"weight": 0.5}} for m in (models.first, models.second)]
    recipe: dict[str, object] = {"merge_method": method, "models": entries}
    if method != "linear":
        recipe |= {"base_model": str(models.suspect), "parameters": {"density": 0.5}}
    path, out = recipe_file(folder, recipe), folder / f"out-{len(list(folder.iterdir()))}"
    if command == "merge":
        return peak_mebibytes(folder, "merge", path, out, "--workers", "2", *more)
    return peak_mebibytes(folder, "replay", path, _made(folder, path, out), "--workers", "2")


def _made(folder: Path, recipe: Path, out: Path) -> Path:
    peak_mebibytes(folder, "merge", recipe, out, "--workers", "2", "--no-digests")
    return out


@pytest.mark.slow
@pytest.mark.parametrize("method", ["linear", "ties"])
def test_a_first_merge_of_several_parents_that_compiles_for_itself_stays_within_the_limit(
    method: str, sizes: tuple[Path, Large, Large], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an installation: the process that merges compiles. Eight parents, and a base for TIES."""
    _, small, _ = sizes
    places = []
    for k in range(4):
        for place in (small.first, small.second):
            places.append(tmp_path / f"{k}-{place.name}")
            places[-1].hardlink_to(place)
    entries = [{"model": str(place), "parameters": {"weight": 0.125}} for place in places]
    recipe: dict[str, object] = {"merge_method": method, "models": entries}
    if method != "linear":
        recipe |= {"base_model": str(small.suspect), "parameters": {"density": 0.5}}
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    path = recipe_file(tmp_path, recipe)
    assert peak_mebibytes(tmp_path, "merge", path, tmp_path / "out", "--workers", "2") <= LIMIT


@pytest.mark.parametrize(
    ("method", "command"),
    [
        ("ties", "merge"),
        pytest.param("linear", "merge", marks=pytest.mark.slow),
        pytest.param("linear", "replay", marks=pytest.mark.slow),
    ],
)
def test_peak_memory_does_not_grow_with_a_tensor(
    method: str, command: str, sizes: tuple[Path, Large, Large]
) -> None:
    folder, small, large = sizes
    # Compiling on first use takes memory too.
    peak(folder, small, method, command)
    before = peak(folder, small, method, command)
    after = peak(folder, large, method, command)
    assert after <= before + GROWTH
    assert after <= LIMIT


@pytest.mark.slow
def test_a_tools_sort_of_a_large_tensor_holds_a_bit_of_each_element(
    sizes: tuple[Path, Large, Large],
) -> None:
    """Cuts fall between equal magnitudes: the sort that torch would do is done again, in a file."""
    folder, small, large = sizes
    profile = ("--profile", "mergekit-0.1.5")
    peak(folder, small, "ties", "merge", *profile)
    before = peak(folder, small, "ties", "merge", *profile)
    after = peak(folder, large, "ties", "merge", *profile)
    # Two parents; sizes are of 16-bit numbers.
    bits = 2 * (300 - 32) / 2 / 8
    assert after <= before + GROWTH + bits
    assert after <= LIMIT
