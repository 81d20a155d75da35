"""The first run compiles in processes that end, all of what it calls, and never where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import types

from parentage.engines import compiling
from parentage.methods.entry_kernels import ENTRIES, EntryKernel
from parentage.records.dtypes import DType
from tests.memory.large import peak_mebibytes, write_large

PARTS = tuple(ENTRIES)
# Prints the kernels that were compiled in an audit's own process, and MiB at the peak: of this process and
# the largest of those that compiled, together, when that is done, and of this process at the end.
AUDIT = """
import gc, json, resource, sys
from numba.core.dispatcher import Dispatcher
from parentage import api
from parentage.engines.compiling import STAGE
def peak():
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024
together = [0]
def told(stage, done, total):
    if stage == STAGE:
        together[0] = peak() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
suspect, *parents = sys.argv[1:]
api.audit(suspect, parents=parents, full=True, workers=1, compile_first=True, progress=told)
own = [o for o in gc.get_objects() if isinstance(o, Dispatcher) and sum(o.stats.cache_misses.values())]
print(json.dumps([sorted(o.py_func.__name__ for o in own), together[0], peak()]))
"""
SMALL = EntryKernel("numerics.feasible.interval", "_deepest", (types.float64[::1], types.float64[::1]))


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """One small kernel as the only part, and an empty folder as its cache."""
    monkeypatch.setattr(compiling, "ENTRIES", {"full": (SMALL,)})
    stamps = [tmp_path / "stamp"]
    monkeypatch.setattr(compiling, "_stamps", lambda part: iter(stamps))
    return stamps


def test_each_listed_kernel_exists_and_takes_as_many_arguments_as_are_listed() -> None:
    for kernels in ENTRIES.values():
        for kernel in kernels:
            assert kernel.dispatcher().py_func.__code__.co_argcount == len(kernel.types), kernel


@pytest.mark.slow
def test_a_part_is_compiled_once_and_each_kernel_is_told(cheap: list[Path]) -> None:
    told: list[tuple[str, int, int]] = []
    for _ in range(2):
        compiling.compile_apart(("full",), lambda *what: told.append(what))
    assert told == [(compiling.STAGE, 0, 1), (compiling.STAGE, 1, 1), (compiling.STAGE, 1, 1)]
    assert cheap[0].is_file()


def test_what_failed_leaves_no_stamp(cheap: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PROGRAM", "raise SystemExit(1)")
    compiling.compile_apart(("full",), lambda *what: None)
    assert not cheap[0].exists()
    monkeypatch.setattr(sys, "executable", "/proc/none")
    compiling.compile_apart(("full",), lambda *what: None)
    assert compiling.missing_parts(("full",)) == ("full",)


def test_without_a_place_for_stamps_nothing_fails(cheap: list[Path]) -> None:
    cheap[:] = [Path("/proc/none/stamp")]
    compiling.compile_apart(("full",), lambda *what: None)
    assert compiling.missing_parts(("full",)) == ("full",)


def test_a_module_in_the_working_folder_is_not_imported(
    cheap: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numba.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path)
    compiling.compile_apart(("full",), lambda *what: None)
    assert cheap[0].is_file()
    assert not (tmp_path / "ran").exists()


def test_another_source_version_or_processor_needs_another_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {compiling._key((SMALL,))}
    monkeypatch.setattr(compiling, "_processor", lambda: "another")
    keys.add(compiling._key((SMALL,)))
    monkeypatch.setattr(compiling, "version", lambda name: "0")
    keys.add(compiling._key((SMALL,)))
    monkeypatch.setattr(compiling.parentage, "__version__", "0")
    keys.add(compiling._key((SMALL,)))
    assert len(keys) == 4


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [DType.BF16, DType.F32])
def test_a_first_audit_compiles_nothing_itself_and_takes_no_more_than_500_megabytes_in_all(
    dtype: DType, tmp_path: Path
) -> None:
    models = write_large(tmp_path, 8, dtype)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    paths = [str(models.suspect), str(models.first), str(models.second)]
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, *paths], capture_output=True, text=True, check=True, env=environment
    )
    compiled, together, after = json.loads(done.stdout)
    assert compiled == []
    assert together <= 500
    assert after <= 500


@pytest.mark.slow
def test_the_first_full_pass_of_an_installation_stays_within_500_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = write_large(tmp_path, 64)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    given = ("audit", models.suspect, "-p", models.first, "-p", models.second, "--full", "--workers", "2")
    assert peak_mebibytes(tmp_path, *given, "--resume", tmp_path / "progress") <= 500
