"""Every lie of a GGUF head is refused by its own code, cheaply; no byte string leads to anything else."""

from __future__ import annotations

import re
import struct
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parentage.checkpoints.formats.gguf_header as header_module
import parentage.checkpoints.formats.gguf_values as values_module
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import HeaderError, ParentageError
from tests.hostile.gguf import GGUF_LIES, gguf, simple_gguf, tensor, text, value
from tests.hostile.headers import Lie


def refusal(path: Path) -> ParentageError:
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(path)
    return caught.value


@pytest.mark.parametrize("lie", GGUF_LIES, ids=lambda lie: lie.name)
def test_each_lie_is_refused_by_its_own_code(lie: Lie, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(lie.raw)
    error = refusal(path)
    assert error.code == lie.code
    assert isinstance(error, HeaderError)
    assert str(path) in error.where
    assert error.message
    assert error.hint
    assert len(str(error)) < 1000


def test_every_code_of_the_head_has_a_lie() -> None:
    source = "".join(Path(m.__file__).read_text() for m in (header_module, values_module))
    assert set(re.findall(r'"(gguf-[a-z-]+)"', source)) == {lie.code for lie in GGUF_LIES}


@pytest.mark.parametrize("lie", GGUF_LIES, ids=lambda lie: lie.name)
def test_a_lie_costs_neither_memory_nor_time(lie: Lie, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(lie.raw)
    tracemalloc.start()
    begin = time.perf_counter()
    refusal(path)
    seconds = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert seconds < 1


@pytest.mark.parametrize(
    ("kind", "claim"),
    [(8, struct.pack("<Q", 2**32)), (9, struct.pack("<IQ", 5, 2**32))],
    ids=["text", "list"],
)
def test_a_value_of_gigabytes_in_a_sparse_file_is_refused_before_it_is_read(
    kind: int, claim: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(values=[value("a", kind, claim)]))
    with path.open("r+b") as stream:
        stream.truncate(2**36)
    tracemalloc.start()
    error = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code == "gguf-too-large"
    assert peak < 500_000


def test_a_name_with_escape_codes_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf([tensor("\x1b[2J\r\n", kind=77)]))
    assert str(refusal(path)).isprintable()


def test_bytes_that_belong_to_no_tensor_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf([tensor("a"), tensor("b", offset=64)], data=bytes(200)))
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.oddities == ("model.gguf: 136 bytes belong to no tensor",)


def test_a_file_without_tensors_opens(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(values=[value("a", 8, text("b"))], data=b""))
    with open_checkpoint(path) as checkpoint:
        assert not checkpoint.tensors
        assert checkpoint.metadata == {"a": "b"}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model.gguf"


def _opens_or_is_refused(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    # Only an error of our own tree is a refusal: anything else fails the test.
    with suppress(ParentageError), open_checkpoint(path) as checkpoint:
        for name, ref in checkpoint.tensors.items():
            count = min(ref.elements, 1000)
            assert checkpoint.read(name, ref.elements - count, count).size == count


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 2**16), st.integers(0, 255), st.sampled_from("rid")), max_size=4
    ),
    cut=st.none() | st.integers(0, 500),
)
def test_a_mutated_file_is_read_or_refused(
    fuzzed: Path, edits: list[tuple[int, int, str]], cut: int | None
) -> None:
    raw = bytearray(simple_gguf())
    for where, byte, kind in edits:
        at = where % max(1, len(raw))
        if kind == "r":
            raw[at : at + 1] = bytes([byte])
        elif kind == "i":
            raw[at:at] = bytes([byte])
        else:
            del raw[at : at + 1]
    _opens_or_is_refused(fuzzed, bytes(raw[:cut]))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    extents=st.lists(st.sampled_from([0, 1, 2, 31, 32, 33, 64, 256, 2**31, 2**62, 2**63]), max_size=5),
    kind=st.integers(0, 45),
    offset=st.sampled_from([0, 1, 32, 64, 2**31, 2**63, 2**64 - 1]),
)
def test_any_entry_is_read_or_refused(fuzzed: Path, extents: list[int], kind: int, offset: int) -> None:
    _opens_or_is_refused(fuzzed, gguf([tensor("a", extents, kind, offset)], data=bytes(range(256)) * 40))
