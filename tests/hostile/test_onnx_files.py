"""Every lie of an ONNX file is refused by its own code, cheaply; what it names is never opened outside."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

import parentage.checkpoints.formats.onnx_header as header_module
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError
from tests.hostile.onnx_files import GOOD, LIES, OnnxLie, field, graph, model, tensor, varint
from tests.worlds.fixtures import FOLDER as FIXTURES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file for data, and one behind a link that leaves it."""
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "w.bin").write_bytes(bytes(24))
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    (inside / "out.bin").symlink_to(tmp_path / "secret.bin")
    return inside


def test_a_good_file_opens(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(GOOD)
    with open_checkpoint(folder) as checkpoint:
        assert {n: t.shape for n, t in checkpoint.tensors.items()} == {"a.weight": (2, 3)}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_each_lie_is_refused_by_its_own_code_and_costs_little(lie: OnnxLie, folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(lie.make())
    # Tracing takes tens of seconds where millions of objects are made, up to the bounds on their number.
    if not lie.code.endswith("too-large"):
        tracemalloc.start()
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(path)
    peak = tracemalloc.get_traced_memory()[1]  # 0 where nothing is traced
    tracemalloc.stop()
    error = caught.value
    assert error.code == lie.code
    assert error.exit_code == 3
    assert str(folder) in error.where
    assert error.hint
    assert len(str(error)) < 1500
    assert str(error).isprintable()
    assert peak < 20_000_000


def test_every_code_of_the_reader_has_a_lie() -> None:
    folder = Path(header_module.__file__).parent
    source = "".join(p.read_text() for p in folder.glob("onnx_*.py"))
    codes = set(re.findall(r'_lie\(\s*"(onnx-[a-z-]+)"', source))
    assert codes == {lie.code for lie in LIES if lie.code.startswith("onnx-")}


def test_numbers_of_a_header_beside_data_do_not_take_memory(folder: Path) -> None:
    path = folder / "model.onnx"
    size = 2**31
    head = tensor(raw=None, dims=(size // 4,)) + b"\x4a" + varint(size)
    stored = b"\x2a" + varint(len(head) + size) + head
    whole = field(1, 8) + field(2, b"test") + b"\x3a" + varint(len(stored) + size) + stored
    with path.open("wb") as stream:
        stream.write(whole)
        stream.truncate(len(whole) + size)
    tracemalloc.start()
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tensors["a.weight"].shape == (size // 4,)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model.onnx"


def _opened(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    told = ""
    try:
        with open_checkpoint(path) as checkpoint:
            for name, ref in checkpoint.tensors.items():
                count = min(ref.elements, 1000)
                assert checkpoint.read(name, 0, count).size == count
    except ParentageError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) < 2000


SEEDS = (
    GOOD,
    *((FIXTURES / "onnx" / n).read_bytes() for n in ("torchscript.onnx", "tensor-uint8.onnx")),
)
EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=6), st.sampled_from("rid")), max_size=5
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), edits=EDITS, cut=st.none() | st.integers(0, 2**15))
def test_a_mutated_file_opens_or_is_refused(
    fuzzed: Path, seed: bytes, edits: list[tuple[int, bytes, str]], cut: int | None
) -> None:
    raw = bytearray(seed)
    for where, new, kind in edits:
        at = where % max(1, len(raw))
        raw[at : at + (0 if kind == "i" else len(new))] = b"" if kind == "d" else new
    _opened(fuzzed, bytes(raw[:cut]))


NAMES = st.sampled_from(["a.weight", "b_q", "b_scale", "c", "x", "y", "val_1", "enc.q.bias", ""])
OPS = st.sampled_from(
    (
        *("MatMul", "Gemm", "Mul", "Cast", "Sub", "Add", "Transpose", "Gather", "Identity", "Conv", "If"),
        *("DequantizeLinear", "MatMulInteger", "QLinearMatMul"),
    )
)
NODES = st.builds(
    lambda op, inputs, outputs, name, axis, trans: helper.make_node(
        op, inputs, outputs, name=name, axis=axis, transB=trans
    ),
    OPS,
    st.lists(NAMES, max_size=4),
    st.lists(NAMES, max_size=2),
    st.sampled_from(["", "/enc/q/MatMul", "//", "MatMul_1", "/MatMul"]),
    st.integers(-3, 3),
    st.integers(0, 2),
)
SHAPES = st.lists(st.integers(0, 4), max_size=3)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    nodes=st.lists(NODES, max_size=8),
    shapes=st.dictionaries(NAMES.filter(bool), SHAPES, max_size=5),
    kinds=st.lists(st.sampled_from([1, 2, 3, 10, 7, 21]), min_size=5, max_size=5),
)
def test_a_random_graph_opens_and_loses_no_tensor(
    fuzzed: Path, nodes: list[onnx.NodeProto], shapes: dict[str, list[int]], kinds: list[int]
) -> None:
    tensors = [
        helper.make_tensor(name, kind, shape, [1] * _count(shape))
        for (name, shape), kind in zip(shapes.items(), kinds, strict=False)
    ]
    made = helper.make_model(helper.make_graph(nodes, "g", [], [], tensors), producer_name="test")
    raw = made.SerializeToString()
    _opened(fuzzed, raw)
    with open_checkpoint(fuzzed) as checkpoint:
        shown = len(checkpoint.tensors) + len(checkpoint.unread)
        told = " ".join(checkpoint.oddities)
        left = re.search(r"(\d+) constants of the graph's arithmetic", told)
        shown += int(left[1]) if left else 0
        assert shown >= len(tensors) or "through their scales" in told


def _count(shape: list[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parts=st.lists(
        st.tuples(st.integers(0, 30), st.binary(max_size=12) | st.integers(0, 2**64)), max_size=12
    )
)
def test_random_fields_open_or_are_refused(fuzzed: Path, parts: list[tuple[int, bytes | int]]) -> None:
    inside = b"".join(field(number, value) for number, value in parts)
    _opened(fuzzed, model(graph(tensor(), inside)))
    _opened(fuzzed, model(inside))
