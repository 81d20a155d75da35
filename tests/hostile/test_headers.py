"""Every lie of a header is refused by its own code, cheaply; what safetensors refuses never passes."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import parentage.checkpoints.formats.safetensors_header as header_module
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import HeaderError, ParentageError
from tests.hostile.headers import LIES, Lie, container, entry, named, simple


def refusal(path: Path) -> ParentageError:
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(path)
    return caught.value


def opens(path: Path) -> bool:
    """Whether we open it; anything but an error of our own tree is a failure of the test."""
    try:
        with open_checkpoint(path):
            return True
    except ParentageError:
        return False


def safetensors_opens(raw: bytes) -> bool:
    try:
        safetensors.deserialize(raw)
    except safetensors.SafetensorError:
        return False
    return True


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_each_lie_is_refused_by_its_own_code(lie: Lie, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(lie.raw)
    error = refusal(path)
    assert error.code == lie.code
    assert isinstance(error, HeaderError)
    assert error.exit_code == 3
    assert str(path) in error.where
    assert error.message
    assert error.hint
    assert len(str(error)) < 1000


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_what_safetensors_refuses_is_a_lie_and_our_extra_lies_are_listed(lie: Lie) -> None:
    assert safetensors_opens(lie.raw) == lie.ours_alone


def test_every_code_of_the_header_has_a_lie() -> None:
    source = Path(header_module.__file__).read_text()
    codes = set(re.findall(r'"((?:header|data)-[a-z-]+)"', source))
    assert codes == {lie.code for lie in LIES}


def test_a_good_file_opens(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(simple())
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint.tensors) == ["a", "b"]
        assert checkpoint.metadata == {"format": "pt"}
        assert checkpoint.read("a", 0, 6).tobytes() == bytes(range(12))


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_costs_neither_memory_nor_time(lie: Lie, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(lie.raw)
    tracemalloc.start()
    begin = time.perf_counter()
    refusal(path)
    seconds = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 + 60 * min(len(lie.raw), 1_000_000)
    assert seconds < 1


def test_a_header_claim_of_gigabytes_in_a_sparse_file_is_refused_before_it_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((2**33).to_bytes(8, "little"))
    with path.open("r+b") as stream:
        stream.truncate(2**34)
    tracemalloc.start()
    error = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code == "header-too-large"
    assert peak < 200_000


def test_a_duplicate_among_many_names_is_found_in_linear_time(tmp_path: Path) -> None:
    one = '"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    names = [*range(30_000), 29_999]
    path = tmp_path / "model.safetensors"
    path.write_bytes(container(("{" + ",".join(one % n for n in names) + "}").encode()))
    begin = time.perf_counter()
    error = refusal(path)
    assert error.code == "header-duplicate-name"
    assert "29999" in error.message
    assert time.perf_counter() - begin < 3


@pytest.mark.parametrize(
    "table",
    [
        named(a=entry("x" * 1_000_000)),
        named(a=entry(offsets=list(range(200_000)))),
        {"n" * 1_000_000: entry("F33")},
    ],
    ids=["dtype", "offsets", "name"],
)
def test_a_long_value_does_not_flood_the_message(table: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(container(table, bytes(8)))
    assert len(str(refusal(path))) < 1000


def test_a_name_with_escape_codes_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(container({"\x1b[2J\r\n": entry("F33")}, bytes(8)))
    error = refusal(path)
    assert error.code == "header-unknown-dtype"
    assert str(error).isprintable()


def test_an_empty_table_and_tensors_without_elements_are_no_lies(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    empty = {"a": entry(shape=[0], offsets=[0, 0]), "b": entry(shape=[3, 0], offsets=[0, 0])}
    for table in ({}, {"__metadata__": {}}, empty):
        raw = container(table)
        path.write_bytes(raw)
        assert opens(path)
        assert safetensors_opens(raw)


def test_padding_with_spaces_after_the_object_is_no_lie(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(container(json.dumps(named(a=entry())).encode() + b"   ", bytes(8)))
    assert opens(path)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model.safetensors"


def _agree(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    if opens(path):
        assert safetensors_opens(raw), raw


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 2**16), st.integers(0, 255), st.sampled_from("rid")), max_size=4
    ),
    cut=st.none() | st.integers(0, 400),
)
def test_a_mutated_file_opens_or_is_refused_and_never_more_leniently_than_safetensors(
    fuzzed: Path, edits: list[tuple[int, int, str]], cut: int | None
) -> None:
    raw = bytearray(simple())
    for where, byte, kind in edits:
        at = where % max(1, len(raw))
        if kind == "r":
            raw[at : at + 1] = bytes([byte])
        elif kind == "i":
            raw[at:at] = bytes([byte])
        else:
            del raw[at : at + 1]
    _agree(fuzzed, bytes(raw[:cut]))


_NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 20, -1, 2**31, 2**62, 2**63, 2**64, 2.0, None])
_ENTRIES = st.builds(
    entry,
    st.sampled_from(["F32", "BF16", "F8_E4M3", "BOOL", "I64", "F16", "U8", "", "F33", 1, None]),
    st.lists(_NUMBERS, max_size=3),
    st.lists(_NUMBERS, min_size=1, max_size=3),
)
_STRINGS = st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.none())
_FIELDS = _ENTRIES | st.none() | _STRINGS


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    table=st.dictionaries(
        st.sampled_from(["a", "b", "", "__metadata__", "é", "\0", "x.weight"]), _FIELDS, max_size=4
    ),
    data=st.sampled_from([0, 4, 8, 12, 20, 24]),
)
def test_a_random_table_opens_or_is_refused_and_never_more_leniently_than_safetensors(
    fuzzed: Path, table: dict[str, object], data: int
) -> None:
    _agree(fuzzed, container(table, bytes(data)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_file_that_safetensors_writes_opens(fuzzed: Path, shapes: list[list[int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [np.float32, np.float16, np.float64, np.int8, np.int64, np.uint8, np.bool_]
    arrays = {
        f"t{k}": rng.integers(0, 2, size=shape).astype(kinds[(seed + k) % len(kinds)])
        for k, shape in enumerate(shapes)
    }
    fuzzed.write_bytes(save(arrays))
    with open_checkpoint(fuzzed) as checkpoint:
        for name, array in arrays.items():
            assert checkpoint.tensors[name].shape == array.shape
            assert checkpoint.read(name, 0, array.size).tobytes() == array.tobytes()
