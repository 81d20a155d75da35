"""Where a quantised ONNX graph keeps the scales and zero points of its codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from parentage.checkpoints.formats.onnx_graph import Model, Node, Stored

__all__ = ["Codes", "Graph", "codes_of"]

# uint8, int8, uint16, int16, float8 (four kinds), uint4, int4.
CODES = (2, 3, 4, 5, 17, 18, 19, 20, 21, 22)
FLOATS = (1, 10, 11, 16)
UINT8 = 2
# No dimension of a product is larger; their product must not overflow what follows.
MOST_EXTENT = 2**31
# Operations that take codes with their scales: inputs of the codes, the scale, the zero point.
WITH_SCALES: Mapping[str, tuple[int, int, int]] = {
    "QLinearMatMul": (3, 4, 5),
    "QGemm": (3, 4, 5),
    "QLinearConv": (3, 4, 5),
    "MatMulIntegerToFloat": (1, 3, 5),
    "DynamicQuantizeMatMul": (1, 2, 3),
}
# onnxruntime's product with a matrix of few bits: inputs of codes, scales, zero points, numbers of groups.
PACKED_PRODUCT = "MatMulNBits"
BITS = (2, 4, 8)
# Operations that leave the scale to a product that follows.
WHOLE = ("MatMulInteger", "ConvInteger")


@dataclass(frozen=True, slots=True)
class Codes:
    """Stored names of scale and zero point (empty: zero), and how many neighbours share one number.

    ``bits``: the codes of a matrix of ``shape`` [out, in] lie packed in bytes, the first of a byte lowest,
    as ``MatMulNBits`` has them; 0 where each code lies apart."""

    scale: str
    zero_point: str
    blocks: tuple[int, ...]
    bits: int = 0
    shape: tuple[int, ...] = ()


class Graph:
    """A model's nodes by what they take and give."""

    def __init__(self, model: Model) -> None:
        self.stored = {t.name: t for t in model.tensors}
        self._taken: dict[str, list[tuple[Node, int]]] = {}
        self._given: dict[str, Node] = {}
        for node in model.nodes:
            for index, name in enumerate(node.inputs):
                self._taken.setdefault(name, []).append((node, index))
            for name in node.outputs:
                self._given.setdefault(name, node)

    def consumers(self, name: str) -> list[tuple[Node, int]]:
        """Nodes that take a value, with the input's number; none for no value."""
        return self._taken.get(name, []) if name else []

    def giver(self, name: str) -> Node | None:
        """The node that computes a value."""
        return self._given.get(name) if name else None

    def dequantised(self, name: str) -> Iterator[str]:
        """Values that are a stored tensor's numbers, unturned: after cast, zero point and scale."""
        value = name
        for _ in range(3):
            after = [n for n, k in self.consumers(value)[:8] if k == 0 and n.op in _UNSCALED and n.outputs]
            if not after:
                return
            value = after[0].outputs[0]
            yield value

    def kept(self, name: str) -> Stored | None:
        """The stored tensor behind a value: itself, cast, or rows of it."""
        for _ in range(3):
            if name in self.stored:
                return self.stored[name]
            node = self.giver(name)
            if node is None or node.op not in ("Cast", "Identity", "Gather") or not node.inputs:
                return None
            name = node.inputs[0]
        return None


_UNSCALED = ("Cast", "Identity", "Sub", "Mul", "DequantizeLinear")


def codes_of(tensor: Stored, graph: Graph) -> Codes | None:
    """The scales of a stored tensor's codes; None where it has none, or they do not fit its shape."""
    if tensor.kind not in CODES or tensor.elements == 0:
        return None
    for node, index in graph.consumers(tensor.name):
        found = _at(tensor, node, index, graph)
        if found is not None:
            return found
    return None


def _at(tensor: Stored, node: Node, index: int, graph: Graph) -> Codes | None:
    if node.op == PACKED_PRODUCT:
        return _packed(tensor, node, graph) if index == 1 else None
    if node.op == "Gather" and index == 0 and node.outputs:
        after = graph.consumers(node.outputs[0])[:4]
        return next(filter(None, (_dequantised(tensor, n, k, graph, True) for n, k in after)), None)
    if node.op in WITH_SCALES and index == WITH_SCALES[node.op][0]:
        _, scale, zero = WITH_SCALES[node.op]
        return _fit(tensor, _input(node, scale), _input(node, zero), _out_axis(node), 0, graph)
    if node.op in WHOLE and index == 1:
        product = _scale_after(node, graph)
        return _fit(tensor, product, _input(node, 3), _out_axis(node), 0, graph) if product else None
    return _dequantised(tensor, node, index, graph, False)


def _dequantised(tensor: Stored, node: Node, index: int, graph: Graph, rows: bool) -> Codes | None:
    """DequantizeLinear, or cast, zero point subtracted, and multiplied. ``rows``: of rows only."""
    if index != 0:
        return None
    if node.op == "DequantizeLinear":
        axis = node.integers.get("axis", (1,))[0]
        axis += len(tensor.shape) if axis < 0 else 0
        block = node.integers.get("block_size", (0,))[0]
        scale = graph.kept(_input(node, 1))
        if rows and (scale is None or scale.elements != 1):
            return None
        return _fit(tensor, _input(node, 1), _input(node, 2), axis, block, graph)
    if node.op != "Cast" or not node.outputs:
        return None
    value, zero = node.outputs[0], ""
    for step, at in graph.consumers(value)[:4]:
        if step.op == "Sub" and at == 0 and step.outputs:
            value, zero = step.outputs[0], _input(step, 1)
            break
    for step, at in graph.consumers(value)[:4]:
        if step.op == "Mul":
            return _fit(tensor, _input(step, 1 - at), zero, None, 0, graph)
    return None


def _scale_after(node: Node, graph: Graph) -> str:
    """y = cast(x · w) · (scale of x · scale of w): the stored one of the two scales."""
    value = node.outputs[0] if node.outputs else ""
    for _ in range(3):
        after = graph.consumers(value)
        if len(after) != 1 or not after[0][0].outputs:
            return ""
        step, at = after[0]
        if step.op == "Mul":
            other = _input(step, 1 - at)
            giver = graph.giver(other)
            names = [other] if giver is None or giver.op != "Mul" else giver.inputs
            return next((n for n in names if graph.kept(n) is not None), "")
        value = step.outputs[0] if step.op in ("Cast", "Identity") else ""
    return ""


def _input(node: Node, index: int) -> str:
    return node.inputs[index] if index < len(node.inputs) else ""


def _out_axis(node: Node) -> int:
    turned = node.op == "QGemm" and node.integers.get("transB", (0,)) == (1,)
    return 0 if turned or "Conv" in node.op else -1


def _packed(tensor: Stored, node: Node, graph: Graph) -> Codes | None:
    """[out, blocks, bytes of a block] with a scale for each block of a row; zero points are packed too, or
    numbers. Groups in another order are not read."""
    told = {k: v[0] for k, v in node.integers.items() if len(v) == 1}
    inner, outer, block = told.get("K", 0), told.get("N", 0), told.get("block_size", 0)
    bits = told.get("bits", 4)
    if min(inner, outer) < 1 or max(inner, outer) > MOST_EXTENT or block < 16 or block & (block - 1):
        return None
    across = -(-inner // block)
    size = outer * across * block * bits // 8
    scales, zeros = graph.kept(_input(node, 2)), graph.kept(_input(node, 3))
    if bits not in BITS or _input(node, 4) or tensor.kind != UINT8 or tensor.elements != size:
        return None
    if scales is None or scales.kind not in FLOATS or scales.elements != outer * across:
        return None
    if _input(node, 3) and not (zeros and _fits_packed(zeros, outer, across, bits)):
        return None
    return Codes(scales.name, zeros.name if zeros else "", (1, block), bits, (outer, inner))


def _fits_packed(zeros: Stored, outer: int, across: int, bits: int) -> bool:
    packed = zeros.kind == UINT8 and zeros.elements == outer * -(-across * bits // 8)
    return packed or (zeros.kind in FLOATS and zeros.elements == outer * across)


def _fit(
    tensor: Stored, scale: str, zero_point: str, axis: int | None, block: int, graph: Graph
) -> Codes | None:
    """The blocks, where scale and zero point are stored and have a number for each."""
    scales = graph.kept(scale)
    if scales is None or scales.kind not in FLOATS:
        return None
    blocks = _blocks(tensor.shape, scales.shape, axis, block)
    if blocks is None:
        return None
    if not zero_point:
        return Codes(scales.name, "", blocks)
    zeros = graph.kept(zero_point)
    if zeros is None or zeros.elements not in (1, scales.elements):
        return None
    return Codes(scales.name, zeros.name, blocks)


def _blocks(
    shape: tuple[int, ...], scales: tuple[int, ...], axis: int | None, block: int
) -> tuple[int, ...] | None:
    if prod(scales) == 1:
        return shape
    rank = len(shape)
    if axis is not None and -rank <= axis < rank and scales == (shape[axis],):
        return tuple(1 if k == axis % rank else n for k, n in enumerate(shape))
    if len(scales) > rank:
        return None
    found = []
    for k, (n, s) in enumerate(zip(shape, (1,) * (rank - len(scales)) + scales, strict=True)):
        if s in (1, n):
            found.append(n if s == 1 else 1)
        elif block > 0 and axis is not None and k == axis % rank and s == -(-n // block):
            found.append(block)
        else:
            return None
    return tuple(found)
