"""ONNX products of few bits whose attributes lie: nothing is believed that does not fit the bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from parentage.checkpoints.opening import open_checkpoint
from parentage.records.dtypes import DType

MADE = Path(__file__).parents[1] / "fixtures" / "quantised" / "nbits-4-zeros.onnx"
Change = Callable[[onnx.ModelProto], None]


def attribute(name: str, value: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            for own in node.attribute:
                own.i = value if own.name == name else own.i

    return change


def without(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            kept = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend(kept)

    return change


def shorter(ending: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith(ending):
                array = numpy_helper.to_array(tensor).reshape(-1)[:-1]
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def reordered(model: onnx.ModelProto) -> None:
    """A fifth input: groups in another order."""
    for node in model.graph.node:
        node.input.append(node.input[2])


LIES: dict[str, Change] = {
    "no width": without("K"),
    "no height": without("N"),
    "a width of exabytes": attribute("K", 2**62),
    "a width below zero": attribute("K", -512),
    "a height of exabytes": attribute("N", 2**62),
    "both beyond their product": attribute("N", 2**31 + 1),
    "no bits": attribute("bits", 0),
    "three bits": attribute("bits", 3),
    "bits of exabytes": attribute("bits", 2**40),
    "blocks of none": attribute("block_size", 0),
    "blocks of three": attribute("block_size", 3),
    "blocks of exabytes": attribute("block_size", 2**62),
    "a block fewer": attribute("K", 480),
    "scales that are too few": shorter("_scales"),
    "zero points that are too few": shorter("_zero_points"),
    "groups in another order": reordered,
}


@pytest.mark.parametrize("lie", LIES)
def test_attributes_that_do_not_fit_leave_the_bytes_as_they_are(lie: str, tmp_path: Path) -> None:
    model = onnx.load(MADE)
    LIES[lie](model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with open_checkpoint(path) as checkpoint:
        assert all(ref.dequantised is None for ref in checkpoint.tensors.values())
        assert DType.U8 in {ref.dtype for ref in checkpoint.tensors.values()}
        for ref in checkpoint.tensors.values():
            assert checkpoint.read(ref, 0, ref.elements).size == ref.elements


def test_the_file_itself_is_read_through_its_scales() -> None:
    with open_checkpoint(MADE) as checkpoint:
        assert all(ref.dequantised is not None for ref in checkpoint.tensors.values())
