"""What an exported graph made of a module's weights: names lost, matrices turned, numbers quantised.

An exporter folds a linear layer's transposed weight into a constant with a name of its own
(``onnx::MatMul_123``, ``val_49``). The module is told by the node's scopes, by the bias added to the
product, or by the path in the node's name (``/encoder/layer.0/attention/self/query/MatMul``). Equal tensors
are stored once: the other names are outputs of ``Identity``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from parentage.checkpoints.formats.onnx_graph import Model, Node, Stored
from parentage.checkpoints.formats.onnx_scales import PACKED_PRODUCT, Codes, Graph, codes_of

__all__ = ["Shown", "aliases", "own_name", "presented"]

# Input that is the weight of a product.
PRODUCTS: Mapping[str, int] = {
    "MatMul": 1,
    "Gemm": 1,
    "MatMulInteger": 1,
    "QLinearMatMul": 3,
    "QGemm": 3,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
    PACKED_PRODUCT: 1,
}
# What onnxruntime appends to the name of a matrix that it turned before it quantised it.
TURNED = "_Transposed"
_SUFFIX = re.compile(r"_(quantized|quant|q|int8|uint8|qint8|quint8)$")
# What onnxruntime appends to a matrix that it packs: bits and kind.
_PACKED_SUFFIX = re.compile(r"_Q\d+(G\d*)?$")
_NUMBERED = re.compile(r"(_\d+|_quant|_token_\d+|_Q\d+)+$")
# From a weight to its product, and from the product to the bias, lie few operations.
FARTHEST = 6
MOST_USES = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """How a stored tensor is presented: under which name, turned or not, and its scales by stored names."""

    name: str
    transposed: bool = False
    codes: Codes | None = None


@dataclass(frozen=True, slots=True)
class _Use:
    node: Node
    turned: bool


def presented(model: Model) -> dict[str, Shown]:
    """For each stored tensor's name, in order; two tensors never get one name."""
    graph = Graph(model)
    codes = {t.name: codes_of(t, graph) for t in model.tensors}
    parts = {part for c in codes.values() if c is not None for part in (c.scale, c.zero_point)}
    found = {
        t.name: Shown(t.name) if t.name in parts else _present(t, codes[t.name], graph)
        for t in model.tensors
    }
    for name, shown in list(found.items()):
        if shown.codes is not None and shown.name != name:
            for part, ending in ((shown.codes.scale, "scale"), (shown.codes.zero_point, "zero_point")):
                if part and not own_name(part):
                    found[part] = Shown(f"{shown.name}_{ending}")
    counts = Counter(shown.name for shown in found.values())
    unique = {
        name: shown if counts[shown.name] == 1 else Shown(name, codes=_straight(shown))
        for name, shown in found.items()
    }
    if len({shown.name for shown in unique.values()}) == len(unique):
        return unique
    return {name: Shown(name, codes=_straight(shown)) for name, shown in found.items()}


def aliases(model: Model) -> dict[str, str]:
    """Further names of stored tensors, each with the stored name."""
    stored = {t.name for t in model.tensors}
    found: dict[str, str] = {}
    for node in model.nodes:
        if node.op == "Identity" and len(node.inputs) == 1 and len(node.outputs) == 1:
            name, source = node.outputs[0], node.inputs[0]
            if source in stored and name not in stored and own_name(name) == name:
                found.setdefault(name, source)
    return found


def _straight(shown: Shown) -> Codes | None:
    return _reversed(shown.codes) if shown.transposed else shown.codes


def _reversed(codes: Codes | None) -> Codes | None:
    return None if codes is None else replace(codes, blocks=codes.blocks[::-1])


def _present(tensor: Stored, codes: Codes | None, graph: Graph) -> Shown:
    if codes is not None and codes.bits:
        return _present_packed(tensor, codes, graph)
    own = own_name(tensor.name)
    if not own and codes is not None:
        own = next(filter(None, map(own_name, graph.dequantised(tensor.name))), "")
    if own.endswith(TURNED) and len(tensor.shape) == 2:
        return Shown(own.removesuffix(TURNED), transposed=True, codes=_reversed(codes))
    if own:
        return Shown(own, codes=codes)
    if len(tensor.shape) != 2:
        return Shown(tensor.name, codes=codes)
    for use in _uses(tensor.name, graph):
        module = _module_of(use.node, graph)
        if module:
            return Shown(f"{module}.weight", use.turned, _reversed(codes) if use.turned else codes)
    return Shown(tensor.name, codes=codes)


def _present_packed(tensor: Stored, codes: Codes, graph: Graph) -> Shown:
    """By its module, which the node tells; a name with ``.MatMul.`` is the quantiser's for the node's."""
    modules = (_module_of(node, graph) for node, _ in graph.consumers(tensor.name)[:MOST_USES])
    module = next(filter(None, modules), "")
    own = f"{module}.weight" if module else own_name(_PACKED_SUFFIX.sub("", tensor.name))
    return Shown(own or tensor.name, codes=codes)


def own_name(name: str) -> str:
    """A name that a module gave: with a dot, and neither a path nor an exporter's number."""
    base = _SUFFIX.sub("", name)
    return "" if "." not in base or "::" in base or base.startswith("/") else base


def _uses(name: str, graph: Graph) -> Iterator[_Use]:
    """The products that a matrix enters, through casts and turns; ``turned``: it is stored as [in, out]."""
    waiting = [(name, False, 0)]
    seen = 0
    while waiting and seen < MOST_USES * FARTHEST:
        value, turned, depth = waiting.pop(0)
        for node, index in graph.consumers(value)[:MOST_USES]:
            seen += 1
            if PRODUCTS.get(node.op) == index:
                straight = node.op in ("Gemm", "QGemm") and node.integers.get("transB", (0,)) == (1,)
                yield _Use(node, turned if straight else not turned)
            elif depth < FARTHEST and index == 0 and node.outputs and _passes(node):
                waiting.append((node.outputs[0], turned ^ (node.op == "Transpose"), depth + 1))
            elif depth < FARTHEST and node.op == "Mul" and node.outputs:
                waiting.append((node.outputs[0], turned, depth + 1))


def _passes(node: Node) -> bool:
    if node.op == "Transpose":
        return node.integers.get("perm") in (None, (1, 0))
    return node.op in ("Cast", "Identity", "DequantizeLinear", "QuantizeLinear", "Sub")


def _module_of(node: Node, graph: Graph) -> str:
    return node.scope or _by_bias(node, graph) or _by_path(node)


def _by_bias(node: Node, graph: Graph) -> str:
    """``a.b`` where ``a.b.bias`` is added to the product."""
    third = {
        "Gemm": 2,
        "DynamicQuantizeMatMul": 4,
        PACKED_PRODUCT: 5,
        "MatMulIntegerToFloat": 6,
        "QGemm": 6,
    }.get(node.op)
    if third is not None and len(node.inputs) > third:
        return _stem(node.inputs[third], graph)
    value = node.outputs[0] if node.outputs else ""
    for _ in range(FARTHEST):
        after = graph.consumers(value)
        if len(after) != 1 or not after[0][0].outputs:
            return ""
        step = after[0][0]
        if step.op == "Add":
            return next(filter(None, (_stem(name, graph) for name in step.inputs)), "")
        if step.op not in ("Cast", "Mul", "DequantizeLinear"):
            return ""
        value = step.outputs[0]
    return ""


def _stem(name: str, graph: Graph) -> str:
    """The module of a bias, unless exporters let several modules share it because it is equal."""
    if len(graph.consumers(name)) != 1:
        return ""
    base = _SUFFIX.sub("", name)
    return base.removesuffix(".bias") if base.endswith(".bias") and own_name(base) else ""


def _by_path(node: Node) -> str:
    parts: Sequence[str] = node.name.split("/")
    last = _NUMBERED.sub("", parts[-1])
    if len(parts) < 3 or parts[0] or last not in PRODUCTS or "" in parts[1:]:
        return ""
    return ".".join(parts[1:-1])
