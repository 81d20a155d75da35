"""ONNX files against the format's own package: every number, every name that an exporter took away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError
from parentage.records.tensors import TensorRef
from tests.worlds.fixtures import FOLDER as FIXTURES
from tests.worlds.fixtures import manifest_files

RNG = np.random.default_rng(0)


def array(checkpoint: Checkpoint, name: str) -> np.ndarray:
    """The tensor as stored bits in its shape."""
    ref = {**checkpoint.tensors, **checkpoint.parts}[name]
    return checkpoint.read(ref, 0, ref.elements).reshape(ref.shape)


def model(nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto], **extra: object) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "graph", [value], [out], tensors)
    return helper.make_model(graph, producer_name="test", **extra)


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def dense(shape: tuple[int, ...], name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), name)


def codes(shape: tuple[int, ...], name: str, dtype: type = np.int8) -> onnx.TensorProto:
    return numpy_helper.from_array(RNG.integers(0, 127, shape).astype(dtype), name)


KINDS = [
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
    TensorProto.DOUBLE,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT16,
    TensorProto.UINT16,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.UINT32,
    TensorProto.UINT64,
    TensorProto.BOOL,
    TensorProto.FLOAT8E4M3FN,
    TensorProto.FLOAT8E5M2,
]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
def test_every_element_type_gives_the_bits_that_onnx_gives(kind: int, raw: bool, tmp_path: Path) -> None:
    like = helper.tensor_dtype_to_np_dtype(kind)
    values = RNG.integers(0, 2 if kind == TensorProto.BOOL else 100, (3, 5)).astype(like)
    tensor = (
        numpy_helper.from_array(values, "layer.weight")
        if raw
        else helper.make_tensor("layer.weight", kind, values.shape, values.reshape(-1))
    )
    assert bool(tensor.raw_data) == raw
    with open_checkpoint(saved(model([], [tensor]), tmp_path)) as checkpoint:
        assert checkpoint.tensors["layer.weight"].shape == (3, 5)
        assert array(checkpoint, "layer.weight").tobytes() == values.tobytes()


@pytest.mark.parametrize(
    "kind", [TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.INT4, TensorProto.FLOAT8E4M3FNUZ]
)
def test_element_types_without_a_dtype_are_listed_with_their_reason(kind: int, tmp_path: Path) -> None:
    values = [b"a", b"b"] if kind == TensorProto.STRING else [1, 2]
    made = model([], [helper.make_tensor("odd", kind, [2], values), dense((2, 2), "a.weight")])
    with open_checkpoint(saved(made, tmp_path)) as checkpoint:
        assert list(checkpoint.tensors) == ["a.weight"]
        assert list(checkpoint.unread) == ["odd"]
        assert any(o.startswith("odd: not read: its numbers are") for o in checkpoint.oddities)


def _matmul(bias: str | None, node: str, **meta: str) -> list[onnx.NodeProto]:
    product = helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["p"], name=node)
    for key, value in meta.items():
        product.metadata_props.add(key=key.replace("_", "."), value=value)
    return [product] if bias is None else [product, helper.make_node("Add", [bias, "p"], ["y"])]


@pytest.mark.parametrize(
    "nodes",
    [
        _matmul("enc.0.query.bias", "MatMul_3"),
        _matmul(None, "/enc.0/query/MatMul"),
        _matmul(None, "/enc.0/query/MatMul_1_quant"),
    ],
    ids=["bias", "path", "path and number"],
)
def test_a_folded_matrix_has_its_modules_name_and_shape_again(
    nodes: list[onnx.NodeProto], tmp_path: Path
) -> None:
    weight = dense((4, 6), "onnx::MatMul_7")
    made = model(nodes, [weight, dense((6,), "enc.0.query.bias")])
    with open_checkpoint(saved(made, tmp_path)) as checkpoint:
        ref = checkpoint.tensors["enc.0.query.weight"]
        assert (ref.shape, ref.transposed) == ((6, 4), True)
        got = array(checkpoint, "enc.0.query.weight").view(np.float32)
        assert np.array_equal(got, numpy_helper.to_array(weight).T)
        assert any("1 tensors are named after" in o for o in checkpoint.oddities)


def test_scopes_of_a_node_name_its_module(tmp_path: Path) -> None:
    nodes = _matmul(None, "node_MatMul_48")
    nodes[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'enc', 'enc.q', 'linear']")
    with open_checkpoint(saved(model(nodes, [dense((4, 6), "onnx::MatMul_7")]), tmp_path)) as checkpoint:
        assert checkpoint.tensors["enc.q.weight"].shape == (6, 4)


@pytest.mark.parametrize(("trans", "shape"), [(1, (4, 6)), (0, (6, 4))])
def test_gemm_tells_whether_its_matrix_lies_turned(
    trans: int, shape: tuple[int, int], tmp_path: Path
) -> None:
    node = helper.make_node("Gemm", ["x", "val_9", "head.bias"], ["y"], transB=trans)
    made = model([node], [dense((4, 6), "val_9"), dense((4,), "head.bias")])
    with open_checkpoint(saved(made, tmp_path)) as checkpoint:
        assert checkpoint.tensors["head.weight"].shape == shape


def test_a_matrix_that_is_turned_before_its_product_lies_straight(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["const_1"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"], name="/lm_head/MatMul"),
    ]
    with open_checkpoint(saved(model(nodes, [dense((4, 6), "const_1")]), tmp_path)) as checkpoint:
        ref = checkpoint.tensors["lm_head.weight"]
        assert (ref.shape, ref.transposed) == ((4, 6), False)


def test_a_name_that_a_module_gave_stays_and_is_not_turned(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "h.0.c_attn.weight"], ["y"], name="/other/MatMul")
    with open_checkpoint(
        saved(model([node], [dense((4, 6), "h.0.c_attn.weight")]), tmp_path)
    ) as checkpoint:
        assert checkpoint.tensors["h.0.c_attn.weight"].shape == (4, 6)


def test_two_matrices_never_get_one_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w_1"], ["p"], name="/enc/MatMul"),
        helper.make_node("MatMul", ["p", "w_2"], ["y"], name="/enc/MatMul_1"),
    ]
    made = model(nodes, [dense((4, 4), "w_1"), dense((4, 4), "w_2")])
    with open_checkpoint(saved(made, tmp_path)) as checkpoint:
        assert list(checkpoint.tensors) == ["w_1", "w_2"]
        assert not any(t.transposed for t in checkpoint.tensors.values())


def scaled_of(made: onnx.ModelProto, folder: Path, name: str) -> TensorRef:
    with open_checkpoint(saved(made, folder)) as checkpoint:
        ref = checkpoint.tensors[name]
        assert ref.scaled is not None
        for part in filter(None, (ref.scaled.scale, ref.scaled.zero_point)):
            assert part in checkpoint.parts
        return ref


def test_dequantised_rows_and_columns_know_their_scales(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero_point"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["p"], name="/enc/q/MatMul"),
    ]
    zero = helper.make_tensor("w_zero_point", TensorProto.INT8, [6], [0, 1, -2, 3, -128, 127])
    made = model(nodes, [codes((4, 6), "w_quantized"), dense((6,), "w_scale"), zero])
    ref = scaled_of(made, tmp_path, "enc.q.weight")
    assert ref.shape == (6, 4)
    assert ref.scaled is not None
    assert ref.scaled.blocks == (1, 4)
    with open_checkpoint(tmp_path / "model.onnx") as checkpoint:
        got = array(checkpoint, ref.scaled.zero_point).view(np.int8)
        assert got.tolist() == [0, 1, -2, 3, -128, 127]


def test_blocks_of_columns_turn_with_their_matrix(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w_q", "w_scale"], ["w"], axis=0, block_size=4),
        helper.make_node("MatMul", ["x", "w"], ["p"], name="/enc/q/MatMul"),
    ]
    scale = dense((2, 6), "w_scale")
    ref = scaled_of(model(nodes, [codes((8, 6), "w_q"), scale]), tmp_path, "enc.q.weight")
    assert ref.scaled is not None
    assert ref.scaled.blocks == (1, 4)
    with open_checkpoint(tmp_path / "model.onnx") as checkpoint:
        got = array(checkpoint, ref.scaled.scale).view(np.float32)
        assert np.array_equal(got, numpy_helper.to_array(scale).T)


@pytest.mark.parametrize("columns", [1, 6])
def test_integer_products_know_the_scale_that_follows_them(columns: int, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node(
            "MatMulInteger", ["xq", "w_quantized", "xz", "w_zero_point"], ["i"], name="/e/q/MatMul_quant"
        ),
        helper.make_node("Cast", ["i"], ["f"], to=1),
        helper.make_node("Mul", ["xs", "w_scale"], ["s"]),
        helper.make_node("Mul", ["f", "s"], ["p"]),
        helper.make_node("Add", ["e.q.bias", "p"], ["y"]),
    ]
    shape = [columns] if columns > 1 else []
    zero = helper.make_tensor("w_zero_point", TensorProto.UINT8, shape, [128] * columns)
    scale = numpy_helper.from_array(RNG.random(shape).astype(np.float32), "w_scale")
    made = model(nodes, [codes((4, 6), "w_quantized", np.uint8), scale, zero, dense((6,), "e.q.bias")])
    ref = scaled_of(made, tmp_path, "e.q.weight")
    assert ref.scaled is not None
    assert ref.scaled.blocks == ((1, 4) if columns > 1 else (6, 4))
    assert ref.scaled.zero_point == "e.q.weight_zero_point"


def test_an_embedding_that_is_dequantised_by_row_knows_its_scales(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["emb.weight_quantized", "ids"], ["rows"]),
        helper.make_node("DequantizeLinear", ["rows", "emb.weight_scale", "emb.weight_zero_point"], ["y"]),
    ]
    zero = helper.make_tensor("emb.weight_zero_point", TensorProto.UINT8, [], [7])
    scale = numpy_helper.from_array(np.float32(0.5), "emb.weight_scale")
    ref = scaled_of(
        model(nodes, [codes((9, 6), "emb.weight_quantized", np.uint8), scale, zero]), tmp_path, "emb.weight"
    )
    assert ref.scaled is not None
    assert ref.scaled.blocks == (9, 6)


def test_scales_that_do_not_fit_are_not_believed(tmp_path: Path) -> None:
    node = helper.make_node("DequantizeLinear", ["a.weight", "s"], ["w"], axis=1)
    made = model([node], [codes((4, 6), "a.weight"), dense((5,), "s")])
    with open_checkpoint(saved(made, tmp_path)) as checkpoint:
        assert checkpoint.tensors["a.weight"].scaled is None


def test_constants_and_inner_graphs_hold_weights_too(tmp_path: Path) -> None:
    inner = helper.make_graph([], "then", [], [], [dense((3, 2), "inner.weight")])
    nodes = [
        helper.make_node("Constant", [], ["outer.weight"], value=dense((2, 3), "value")),
        helper.make_node("Constant", [], ["one"], value=dense((), "value")),
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner_of("else")),
    ]
    with open_checkpoint(saved(model(nodes, []), tmp_path)) as checkpoint:
        assert list(checkpoint.tensors) == ["inner.weight", "outer.weight"]
        assert "1 constants of the graph's arithmetic are not listed" in checkpoint.oddities


def inner_of(name: str) -> onnx.GraphProto:
    return helper.make_graph([], name, [], [], [])


def test_data_beside_the_file_are_read_and_its_file_is_one_of_the_checkpoint(tmp_path: Path) -> None:
    weight = dense((64, 64), "a.weight")
    made = model([], [weight, dense((2,), "a.bias")])
    onnx.save(
        made,
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=64,
    )
    values = numpy_helper.to_array(onnx.load(tmp_path / "model.onnx").graph.initializer[0])
    for path in (tmp_path, tmp_path / "model.onnx"):
        with open_checkpoint(path) as checkpoint:
            assert [s.name for s in checkpoint.shards] == ["model.onnx_data", "model.onnx"]
            assert checkpoint.tensors["a.weight"].shard == "model.onnx_data"
            assert array(checkpoint, "a.weight").tobytes() == values.tobytes()


FOLDER = FIXTURES / "onnx"
# The exporter of torch.export works out position and type embeddings for its five tokens.
FOLDED = {"embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"}


def pairs(
    file: str, truth: str = "truth"
) -> dict[str, tuple[np.ndarray | None, np.ndarray, TensorRef | None]]:
    """What is read under each true name, and the true numbers."""
    with open_checkpoint(FOLDER / file) as read, open_checkpoint(FOLDER / f"{truth}.safetensors") as true:
        return {
            name: (
                array(read, name).view(np.float32) if name in read.tensors else None,
                array(true, name).view(np.float32),
                read.tensors.get(name),
            )
            for name in true.tensors
        }


@pytest.mark.parametrize("file", ["torchscript.onnx", "tied.onnx", "dynamo.onnx"])
def test_an_exported_model_has_the_names_shapes_and_bits_of_its_state_dict(file: str) -> None:
    found = pairs(file, "tied" if file == "tied.onnx" else "truth")
    assert len(found) == 39
    lost = {name for name, (read, _, _) in found.items() if read is None}
    assert lost == (FOLDED if file == "dynamo.onnx" else set())
    for name, (read, true, _) in found.items():
        if read is not None:
            assert np.array_equal(read, true), name


@pytest.mark.parametrize("file", ["tensor-uint8.onnx", "channel-int8.onnx", "dynamo-int8.onnx"])
def test_a_model_that_onnxruntime_quantised_is_read_to_half_a_step(file: str) -> None:
    found = pairs(file)
    scaled = 0
    for name, (read, true, ref) in found.items():
        if read is None or ref is None:
            assert name in FOLDED
            assert file == "dynamo-int8.onnx"
        elif ref.scaled is None:
            assert np.array_equal(read, true), name
        else:
            scaled += 1
            with open_checkpoint(FOLDER / file) as checkpoint:
                assert checkpoint.tensors[name].encoding.endswith("with scales")
            # 255 steps over the range, which onnxruntime widens to hold zero.
            step = 2 * np.abs(true).max() / 254
            assert np.abs(read - true).max() <= 0.51 * step, name
    assert scaled == (14 if file == "dynamo-int8.onnx" else 16)


def test_the_fixtures_are_those_that_the_manifest_pins() -> None:
    listed = {f.path for name, f in manifest_files().items() if name.startswith("onnx/")}
    assert listed == set(FOLDER.iterdir())


@pytest.fixture(scope="module")
def quantised(family: Path) -> Path:
    if not (family / "Q" / "model.onnx").exists():
        pytest.skip("Q is not there: `make demo` fetches it")
    return family / "Q" / "model.onnx"


@pytest.mark.real
def test_the_real_int8_copy_has_its_bases_names_and_every_number_that_onnx_reads(
    quantised: Path, family: Path
) -> None:
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(quantised).graph.initializer}
    base = load_file(family / "O" / "model.safetensors")
    matched = 0
    with open_checkpoint(quantised) as checkpoint:
        listed = {**checkpoint.tensors, **checkpoint.parts}
        assert "20 constants of the graph's arithmetic are not listed" in checkpoint.oddities
        stored = {n: a for n, a in stored.items() if "." in n or n.endswith(("_q", "_scale"))}
        assert len(listed) == len(stored) == 140
        assert not checkpoint.unread
        by_size = sorted(a.tobytes() for a in stored.values() if a.ndim != 2)
        ours = {n: array(checkpoint, n) for n, t in listed.items() if t.dequantised is None}
        assert sorted(a.tobytes() for a in ours.values() if a.ndim != 2) == by_size
        for name, ref in checkpoint.tensors.items():
            if ref.scaled is None or ref.dequantised is None:
                continue
            weight = base[name.removeprefix("inner.")]
            scale = ours[ref.scaled.scale].view(np.float32).reshape(-1)
            assert ref.scaled.blocks == (1, ref.shape[1])
            again = np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8)
            codes = checkpoint.read(ref.dequantised.codes, 0, ref.elements).reshape(ref.shape)
            assert np.mean(again.view(np.uint8) == codes) > 0.9999
            values = checkpoint.read(ref, 0, ref.elements).view(np.float32).reshape(ref.shape)
            assert np.array_equal(values, codes.view(np.int8).astype(np.float32) * scale[:, None])
            matched += 1
    assert matched == 38


def test_a_file_that_is_no_onnx_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(tmp_path)
    assert caught.value.code == "format-not-read"
