"""What an ONNX file's graph holds: tensors with the places of their data, and nodes without their weights.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from math import prod

from parentage.checkpoints.formats.onnx_wire import BYTES, ONNX_HINT, VARINT, Field, Wire, varints
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import HeaderError

__all__ = ["Model", "Node", "Stored", "read_model"]

MAX_DIMENSIONS = 64
MAX_ELEMENTS = 2**62
# Graphs of conditions and loops lie in attributes of nodes, rarely two deep.
DEEPEST = 8
MOST_TENSORS = 200_000
MOST_NODES = 200_000
MOST_NAMES = 4096
# Numbers that are written one by one (zero points, shapes) are decoded into memory.
MOST_DECODED = 65_536
MOST_METADATA = 2**20
_SCOPE = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor: where its data are. ``kind`` is ONNX's number of the element type.

    ``numbers``: decoded, where the file holds one varint each. ``external``: keys and values of data in
    another file. ``absent``: why its data cannot be read in place.
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    begin: int = 0
    end: int = 0
    numbers: tuple[int, ...] | None = None
    external: dict[str, str] | None = None
    absent: str = ""

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Node:
    """An operation; ``integers``: its attributes of whole numbers; ``scope``: the module that it is of."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, tuple[int, ...]]
    scope: str = ""


@dataclass(slots=True)
class Model:
    """All tensors and nodes in the order of the file; metadata as strings. ``constants_left``: constants of
    the graph's arithmetic, which are no weights; ``sparse``: sparse tensors, which are not read."""

    tensors: list[Stored] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    constants_left: int = 0
    sparse: int = 0


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=ONNX_HINT)


def read_model(wire: Wire) -> Model:
    """Walk through the whole file, skipping data; raises ``HeaderError``."""
    found = Model()
    graphs = 0
    for part in wire.fields(0, wire.file.size):
        if part.number == 7:
            graphs += 1
            _read_graph(wire, part, found, 0)
        elif part.number == 14:
            key, value = _pair(wire, part)
            found.metadata[key] = value
        elif part.number in (2, 3) and part.kind == BYTES:
            what = "producer_name" if part.number == 2 else "producer_version"
            found.metadata[what] = wire.text(part, what)
    if graphs != 1:
        raise _lie("onnx-wire", f"{graphs} graphs in place of one", wire.place(0))
    return found


def _read_graph(wire: Wire, graph: Field, found: Model, depth: int) -> None:
    if depth > DEEPEST:
        raise _lie("onnx-too-large", f"graphs in graphs, more than {DEEPEST} deep", wire.place(graph.begin))
    for part in wire.inner(graph, "a graph"):
        if part.number == 1:
            found.nodes.append(_node(wire, part, found, depth))
        elif part.number == 5:
            found.tensors.append(_tensor(wire, part))
        elif part.number == 15:
            found.sparse += 1
        if len(found.nodes) > MOST_NODES or len(found.tensors) > MOST_TENSORS:
            raise _lie("onnx-too-large", "too many nodes or tensors", wire.place(part.begin))


def _pair(wire: Wire, entry: Field) -> tuple[str, str]:
    """A StringStringEntryProto."""
    key = value = ""
    for part in wire.inner(entry, "an entry"):
        if part.number == 1:
            key = wire.text(part, "a key")
        elif part.number == 2:
            raw = wire.take(part, MOST_METADATA, "a value")
            value = raw.decode("utf-8", errors="replace")
    return key, value


def _node(wire: Wire, node: Field, found: Model, depth: int) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    texts = {3: "", 4: ""}
    integers: dict[str, tuple[int, ...]] = {}
    scope = ""
    constant = None
    for part in wire.inner(node, "a node"):
        if part.number in (1, 2):
            names = inputs if part.number == 1 else outputs
            names.append(wire.text(part, "a name"))
            if len(names) > MOST_NAMES:
                raise _lie(
                    "onnx-too-large", f"a node with more than {MOST_NAMES} names", wire.place(part.begin)
                )
        elif part.number in texts:
            texts[part.number] = wire.text(part, "a name")
        elif part.number == 5:
            name, numbers, tensor = _attribute(wire, part, found, depth)
            integers |= {name: numbers} if numbers else {}
            constant = tensor if name == "value" else constant
        elif part.number == 9:
            key, value = _pair(wire, part)
            scope = _module(value) if key == "pkg.torch.onnx.name_scopes" else scope
    if texts[4] == "Constant" and constant is not None and outputs:
        _keep_constant(constant, outputs[0], found)
    return Node(texts[4], texts[3], tuple(inputs), tuple(outputs), integers, scope)


def _keep_constant(constant: Stored, name: str, found: Model) -> None:
    """Weights may be constants of the graph; single numbers and shapes are its arithmetic."""
    if constant.kind in (1, 2, 3, 10, 11, 16, 17, 18, 19, 20) and constant.elements > 1:
        found.tensors.append(replace(constant, name=name))
    else:
        found.constants_left += 1


def _module(scopes: str) -> str:
    """The innermost module of a list of scopes, whose last entry is the operation."""
    names = _SCOPE.findall(scopes[:4096])
    return names[-2] if len(names) > 1 else ""


def _attribute(
    wire: Wire, attribute: Field, found: Model, depth: int
) -> tuple[str, tuple[int, ...], Stored | None]:
    name, numbers, tensor = "", [], None
    for part in wire.inner(attribute, "an attribute"):
        if part.number == 1:
            name = wire.text(part, "a name")
        elif part.number == 3 and part.kind == VARINT:
            numbers.append(_signed(part.value))
        elif part.number == 8:
            numbers += [_signed(v) for v in _numbers(wire, part)]
        elif part.number == 5:
            tensor = _tensor(wire, part)
        elif part.number in (6, 11):
            _read_graph(wire, part, found, depth + 1)
    return name, tuple(numbers), tensor


def _numbers(wire: Wire, part: Field) -> list[int]:
    """One number, or a packed field of few."""
    if part.kind == VARINT:
        return [part.value]
    found = varints(wire.take(part, 10 * MOST_NAMES, "a list of numbers"))
    if found is None:
        raise _lie("onnx-wire", "a list of numbers that does not end", wire.place(part.begin))
    return found


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _tensor(wire: Wire, message: Field) -> Stored:
    dims: list[int] = []
    name, kind, location = "", 0, 0
    external: dict[str, str] = {}
    data: list[Field] = []
    for part in wire.inner(message, "a tensor"):
        if part.number == 1:
            dims += _numbers(wire, part)
            if len(dims) > MAX_DIMENSIONS:
                raise _lie("onnx-shape", f"more than {MAX_DIMENSIONS} dimensions", wire.place(part.begin))
        elif part.number == 2:
            kind = part.value
        elif part.number == 8:
            name = wire.text(part, "a name")
        elif part.number == 13:
            key, value = _pair(wire, part)
            external[key] = value
        elif part.number == 14:
            location = part.value
        elif part.number in (4, 5, 6, 7, 9, 10, 11) and len(data) <= MOST_DECODED:
            data.append(part)
    shape = _shape(wire, dims, name, message.begin)
    if location == 1:
        return Stored(name, kind, shape, external=external)
    return _in_place(wire, name, kind, shape, data, message)


def _shape(wire: Wire, dims: list[int], name: str, at: int) -> tuple[int, ...]:
    elements = 1
    for extent in dims:
        elements *= extent
        if elements > MAX_ELEMENTS or extent > MAX_ELEMENTS:
            raise _lie("onnx-shape", f"the shape of {shown(name)} overflows or is negative", wire.place(at))
    return tuple(dims)


def _in_place(
    wire: Wire, name: str, kind: int, shape: tuple[int, ...], data: list[Field], message: Field
) -> Stored:
    """raw_data, and floats that are packed, lie as they are in memory."""
    if not data:
        return Stored(name, kind, shape, message.end, message.end)
    first = data[0]
    packed = len(data) == 1 and first.kind == BYTES
    if packed and (first.number == 9 or (first.number, kind) in ((4, 1), (10, 11))):
        return Stored(name, kind, shape, first.begin, first.end)
    if len({part.number for part in data}) > 1 or first.number not in (5, 7, 11):
        return Stored(name, kind, shape, absent="its numbers are not in one piece")
    if (
        prod(shape) > MOST_DECODED
        or first.end - first.begin > 10 * MOST_DECODED
        or len(data) > MOST_DECODED
    ):
        return Stored(name, kind, shape, absent="its numbers are written one by one, and are too many")
    numbers = [value for part in data for value in _decoded(wire, part)]
    return Stored(name, kind, shape, numbers=tuple(numbers))


def _decoded(wire: Wire, part: Field) -> list[int]:
    if part.kind == VARINT:
        return [part.value]
    found = varints(wire.take(part, 10 * MOST_DECODED, "a list of numbers"))
    if found is None:
        raise _lie("onnx-wire", "a list of numbers that does not end", wire.place(part.begin))
    return found
