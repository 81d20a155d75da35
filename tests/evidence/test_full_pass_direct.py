"""A full pass that reads past the page cache counts what one through it counts."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints import direct_files
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.direct_files import DirectBlock, DirectReader, ThreadReads, in_memory
from parentage.checkpoints.kernel_reads import KernelReads, Request, cached_pages
from parentage.evidence.full import full_pass
from parentage.evidence.full import worker as full_worker
from parentage.records.codec import to_plain
from tests.cli.running import MERGEKIT
from tests.evidence.test_full_pass import FIRST, World
from tests.evidence.test_resume import SLICE, SLICES, saved


def forget(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.fixture
def random_file(tmp_path: Path) -> tuple[Path, np.ndarray]:
    held = np.random.default_rng(1).integers(0, 256, 3 * 2**20 + 17, np.uint8)
    path = tmp_path / "bytes"
    path.write_bytes(held.tobytes())
    return path, held


@pytest.fixture(params=[KernelReads, ThreadReads])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading, where the system has both."""
    kind: type[KernelReads | ThreadReads] = request.param
    try:
        kind(1).close()
    except OSError:
        pytest.skip("this system does not read by itself")
    monkeypatch.setattr(direct_files, "_reads", kind)
    return kind.__name__


@pytest.mark.usefixtures("way")
def test_spans_at_any_offset_are_read_whole(random_file: tuple[Path, np.ndarray]) -> None:
    path, held = random_file
    reader = DirectReader(2**20, 4, 1)
    with path.open("rb") as file:
        places = [(file.fileno(), offset) for offset in (0, 1, 4095, held.size - 5000)]
        for sizes in ((10, 4096, 2**20, 5000), (2**20, 1, 8192, 1)):
            begun = reader.begin(places, sizes)
            assert reader.come() == [begun]
            for found, row, (_, offset), size in zip(begun.begins, begun.rows, places, sizes, strict=True):
                assert found is not None
                assert np.array_equal(row[found : found + size], held[offset : offset + size])
            reader.end(begun)


@pytest.mark.usefixtures("way")
def test_what_ends_before_is_not_found(random_file: tuple[Path, np.ndarray]) -> None:
    path, held = random_file
    reader = DirectReader(2**20, 1, 1)
    with path.open("rb") as file:
        begun = reader.begin([(file.fileno(), held.size - 100)], [101])
        assert reader.come() == [begun]
        assert begun.begins == [None]
        reader.end(begun)


@pytest.mark.usefixtures("way")
def test_what_cannot_be_read_so_ends_too_and_the_rest_is_read(
    random_file: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = random_file
    reader, direct = DirectReader(2**20, 3, 2), DirectReader._direct
    with path.open("rb") as file, path.open("rb") as refused:
        monkeypatch.setattr(
            DirectReader, "_direct", lambda self, n: direct(self, n) if n == file.fileno() else None
        )
        for order in ((refused, file, file), (file, refused, refused), (refused, refused, refused)):
            begun = reader.begin([(f.fileno(), 0) for f in order], [100] * 3)
            assert reader.come() == [begun]
            assert begun.begins == [0 if f is file else None for f in order]
            reader.end(begun)


@pytest.mark.usefixtures("way")
def test_a_reader_that_is_closed_writes_no_memory_later(random_file: tuple[Path, np.ndarray]) -> None:
    path, held = random_file
    forget(path)
    reader = DirectReader(2**20, 2, 2)
    with path.open("rb") as file:
        blocks = [reader.begin([(file.fileno(), 2**20 * k)], [2**20]) for k in range(2)]
        reader.close()
        after = [block.rows.copy() for block in blocks]
        for k, (block, rows) in enumerate(zip(blocks, after, strict=True)):
            assert np.array_equal(block.rows, rows)
            assert np.array_equal(rows[0, : 2**20], held[2**20 * k :][: 2**20])


def test_a_key_may_be_asked_again_once_it_was_answered(random_file: tuple[Path, np.ndarray]) -> None:
    path, held = random_file
    try:
        reads = KernelReads(2)
    except OSError:
        pytest.skip("this system does not read by itself")
    room = np.zeros(2**13, np.uint8)
    with path.open("rb") as file:
        for offset in (0, 4096, 2**20):
            reads.begin([Request(1, file.fileno(), offset, room)])
            assert reads.wait() == [(1, 2**13)]
            assert np.array_equal(room, held[offset : offset + room.size])
    reads.close()
    reads.close()


def test_reading_past_the_cache_leaves_it_empty(random_file: tuple[Path, np.ndarray]) -> None:
    path, _ = random_file
    forget(path)
    reader = DirectReader(2**20, 1, 1)
    with path.open("rb") as file:
        # Where the system must be asked by a read, it may fetch what follows.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        if in_memory(file.fileno(), 0, 1):
            pytest.skip("this file system keeps its files in memory")
        begun = reader.begin([(file.fileno(), 2**20)], [2**20])
        assert reader.come() == [begun]
        assert begun.begins == [0]
        assert not in_memory(file.fileno(), 2**21 - 1, 1)


def test_a_span_lies_in_memory_when_all_of_it_does(random_file: tuple[Path, np.ndarray]) -> None:
    path, held = random_file
    forget(path)
    with path.open("rb") as file:
        number = file.fileno()
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_RANDOM)
        if in_memory(number, 0, 1) or cached_pages(number, 0, 1) is None:
            pytest.skip("this file system keeps its files in memory, or the system does not tell")
        assert not in_memory(number, 0, held.size)
        # Asking has fetched nothing.
        assert cached_pages(number, 0, held.size) == 0
        assert os.pread(number, 2 * 4096, 5 * 4096)
        assert in_memory(number, 5 * 4096 + 1, 2 * 4096 - 1)
        assert not in_memory(number, 5 * 4096 + 1, 2 * 4096)
        assert not in_memory(number, 5 * 4096 - 1, 2)
        assert not in_memory(number, 0, held.size)
        assert os.pread(number, held.size, 0)
        assert in_memory(number, 0, held.size)


def test_the_cache_is_not_told_to_fetch_what_is_read_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_pass, "SLICE", SLICE)
    world = World(tmp_path)
    announced: list[object] = []
    monkeypatch.setattr(Checkpoint, "announce", lambda self, *what: announced.append(what))
    seen = []
    for direct in (False, True):
        announced.clear()
        # What is announced for the sample is the same for both.
        monkeypatch.setattr(full_pass, "larger_than_memory", lambda nbytes, direct=direct: direct)
        monkeypatch.setattr(full_worker, "in_memory", lambda number, offset, size: False)
        saved(world)
        seen.append(len(announced))
    # Each slice of three models.
    assert seen[0] == seen[1] + 3 * SLICES


@pytest.mark.parametrize("workers", [1, 2, 16, 64])
def test_what_all_workers_hold_is_bounded_however_many_they_are(workers: int) -> None:
    for rows, width in ((3, 2), (6, 2), (9, 4)):
        work = full_worker.PassWork([], 2**18, rows, width, direct=full_worker.DIRECT // workers)
        counter = work.open()
        assert counter.reader is not None
        spans = (counter.depth + 1) * rows
        assert counter.depth >= 1
        # Two pages of each span are for where it begins and ends.
        assert workers * spans * counter.part * width <= full_worker.DIRECT
        counter.reader.close()


@pytest.mark.slow
@pytest.mark.parametrize(("refused", "word"), [(False, 4), (False, 3), (True, 4)])
def test_no_byte_of_the_evidence_depends_on_how_it_was_read(
    refused: bool, word: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_pass, "SLICE", SLICE)
    world = World(tmp_path)
    world.change(FIRST, slice(None, None, 7))
    before = saved(world)
    begun: list[int] = []
    begin = DirectReader.begin

    def watched(self: DirectReader, files: object, sizes: list[int]) -> object:
        begun.append(len(sizes))
        return begin(self, files, sizes)  # type: ignore[arg-type]

    monkeypatch.setattr(DirectReader, "begin", watched)
    # Whatever lies in memory, of whatever size.
    monkeypatch.setattr(full_worker, "in_memory", lambda number, offset, size: False)
    monkeypatch.setattr(full_pass, "larger_than_memory", lambda nbytes: True)
    # Spans that do not begin at a whole word are laid out anew.
    monkeypatch.setattr(full_worker, "WORD", word)
    if refused:
        monkeypatch.setattr(DirectReader, "_direct", lambda self, number: None)
    assert saved(world) == before
    assert begun


def test_only_what_is_larger_than_memory_is_read_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not direct_files.larger_than_memory(2**20)
    assert direct_files.larger_than_memory(2**60)
    monkeypatch.setattr(direct_files, "MEMORY", tmp_path / "absent")
    assert not direct_files.larger_than_memory(2**60)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_begins_with_the_next_slice_before_it_ends_the_last(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a disk stands still at the end of each slice; and never is more begun than there is room for."""
    monkeypatch.setattr(full_pass, "SLICE", SLICE)
    monkeypatch.setattr(full_worker, "PIECE", 2**10)
    monkeypatch.setattr(full_worker, "REQUEST", 2 * SLICE)
    monkeypatch.setattr(full_worker, "in_memory", lambda number, offset, size: False)
    monkeypatch.setattr(full_pass, "larger_than_memory", lambda nbytes: True)
    before, ended = threading.Lock(), list[int]()
    under_way, most, ahead = dict[int, int](), 0, 0
    begin, end = DirectReader.begin, DirectReader.end

    def begun(self: DirectReader, files: list[tuple[int, int]], sizes: list[int]) -> object:
        nonlocal most
        with before:
            under_way[id(self)] = under_way.get(id(self), 0) + 1
            most = max(most, under_way[id(self)])
        return begin(self, files, sizes)

    def done(self: DirectReader, read: DirectBlock) -> None:
        nonlocal ahead
        with before:
            under_way[id(self)] -= 1
            # One part a slice here: whatever else is under way is of later slices.
            ahead += under_way[id(self)] > 0
            ended.append(1)
        end(self, read)

    monkeypatch.setattr(DirectReader, "begin", begun)
    monkeypatch.setattr(DirectReader, "end", done)
    saved(World(tmp_path), workers=workers)
    assert len(ended) == SLICES
    assert ahead >= SLICES - 1 - workers
    assert 2 <= most <= full_worker.DEPTH + 1
    assert not any(under_way.values())


@pytest.mark.usefixtures("way")
def test_a_merge_that_mergekit_made_is_counted_the_same_past_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    begin = DirectReader.begin

    def watched(self: DirectReader, files: Sequence[tuple[int, int]], sizes: Sequence[int]) -> DirectBlock:
        begun.append(len(sizes))
        return begin(self, files, sizes)

    monkeypatch.setattr(DirectReader, "begin", watched)
    monkeypatch.setattr(full_worker, "in_memory", lambda number, offset, size: False)
    found = []
    for direct in (False, True):
        monkeypatch.setattr(full_pass, "larger_than_memory", lambda nbytes, direct=direct: direct)
        parents = [str(MERGEKIT / f"{name}.safetensors") for name in "AO"]
        report = api.audit(
            str(MERGEKIT / "linear.safetensors"), parents=parents, full=True, sample=64, digests=False
        )
        found.append(to_plain(report.evidence))
        assert bool(begun) is direct
    assert found[0] == found[1]
