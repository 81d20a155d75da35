"""The few globals that a state dict's pickle may name, each with what it stands for. None is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.dtypes import DType

__all__ = ["Called", "Global", "Refused", "Storage", "Tensor", "global_of"]

MAX_DIMENSIONS = 64
MAX_NUMBER = 2**62


class Refused(Exception):
    """Something that no state dict holds; ``name`` is the global's, None where a known one is misused."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.message, self.name = message, name


class Called:
    """What a call of a global gave; attributes may be set on it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Storage(Called):
    """A run of numbers in the archive's member ``key``; ``dtype`` None: ``elements`` are bytes."""

    key: str
    dtype: DType | None
    elements: int

    @staticmethod
    def of(place: tuple[Any, ...]) -> Storage:
        """From a persistent id: ("storage", class, key, device, elements)."""
        good = (
            len(place) == 5
            and place[0] == "storage"
            and isinstance(place[1], Global)
            and place[1].kind == "storage"
            and isinstance(place[2], str)
        )
        if not good:
            raise Refused("a storage that is described in no known way")
        return Storage(place[2], place[1].dtype, _whole(place[4]))


@dataclass(frozen=True, slots=True)
class Tensor(Called):
    """A view of a storage: ``offset`` and ``strides`` in elements. ``dtype`` None: one that is not read.

    ``marks``: what torch does to the numbers after reading them (negates, conjugates).
    """

    storage: Storage
    dtype: DType | None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Global:
    """A name that is known: a storage's class, a dtype, or a function with our own ``rule``."""

    name: str
    kind: str
    dtype: DType | None = None
    rule: Callable[[tuple[Any, ...]], Any] | None = None

    def call(self, arguments: tuple[Any, ...]) -> Any:
        """What the call stands for; raises ``Refused``."""
        if self.rule is None:
            raise Refused(f"{self.name} is called")
        return self.rule(arguments)


def global_of(module: str, name: str) -> Global:
    """The known global; raises ``Refused`` with its name for every other."""
    found = _GLOBALS.get((module, name))
    if found is None:
        raise Refused("an unknown global", f"{module}.{name}")
    return found


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise Refused("a size or offset that is no whole number")
    return value


def _wholes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > MAX_DIMENSIONS:
        raise Refused("a shape that is no tuple of numbers")
    return tuple(_whole(v) for v in value)


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    """_rebuild_tensor(storage, offset, size, strides), and _v2 with more that does not matter here."""
    if not 4 <= len(arguments) <= 7 or not isinstance(arguments[0], Storage):
        raise Refused("a tensor that is described in no known way")
    storage = arguments[0]
    if storage.dtype is None:
        raise Refused("a tensor without a dtype")
    return _view(storage, storage.dtype, arguments, arguments[6:])


def _tensor_of_dtype(arguments: tuple[Any, ...]) -> Tensor:
    """_rebuild_tensor_v3(storage, offset, size, strides, requires_grad, hooks, dtype, metadata)."""
    good = 7 <= len(arguments) <= 8 and isinstance(arguments[0], Storage)
    if not good or not isinstance(arguments[6], Global) or arguments[6].kind != "dtype":
        raise Refused("a tensor that is described in no known way")
    return _view(arguments[0], arguments[6].dtype, arguments, arguments[7:])


def _view(
    storage: Storage, dtype: DType | None, arguments: tuple[Any, ...], metadata: tuple[Any, ...]
) -> Tensor:
    shape, strides = _wholes(arguments[2]), _wholes(arguments[3])
    if len(shape) != len(strides):
        raise Refused("a tensor with more extents than strides")
    elements = 1
    for extent in shape:
        elements *= extent
        if elements > MAX_NUMBER:
            raise Refused("a shape that overflows")
    return Tensor(storage, dtype, _whole(arguments[1]), shape, strides, _marks(metadata))


def _marks(metadata: tuple[Any, ...]) -> tuple[str, ...]:
    """torch keeps a negated or conjugated view as the numbers before, and says so beside them."""
    if not metadata or metadata[0] is None:
        return ()
    if not isinstance(metadata[0], dict):
        raise Refused("a tensor that is described in no known way")
    return tuple(str(key) for key, value in metadata[0].items() if value is not False)


def _parameter(arguments: tuple[Any, ...]) -> Tensor:
    """_rebuild_parameter(data, …): the tensor itself."""
    if not 3 <= len(arguments) <= 4 or not isinstance(arguments[0], Tensor):
        raise Refused("a parameter that is no tensor")
    return arguments[0]


def _from_type(arguments: tuple[Any, ...]) -> Any:
    """_rebuild_from_type_v2(function, class, arguments, state)."""
    good = len(arguments) == 4 and all(isinstance(a, Global) for a in arguments[:2])
    if not good or not isinstance(arguments[2], tuple) or arguments[0].rule is _from_type:
        raise Refused("a tensor that is described in no known way")
    return arguments[0].call(arguments[2])


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """OrderedDict(), or of pairs."""
    pairs = arguments[0] if arguments else []
    good = isinstance(pairs, list) and all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs)
    if len(arguments) > 1 or not good or not all(isinstance(p[0], str | int) for p in pairs):
        raise Refused("a dictionary of no pairs")
    return {p[0]: p[1] for p in pairs}


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != 1 or not isinstance(arguments[0], tuple):
        raise Refused("a size that is no tuple")
    return arguments[0]


def _device(arguments: tuple[Any, ...]) -> None:
    """A device does not matter here."""


_DTYPES: Mapping[str, DType | None] = {
    "float64": DType.F64,
    "float32": DType.F32,
    "float16": DType.F16,
    "bfloat16": DType.BF16,
    "float8_e4m3fn": DType.F8_E4M3,
    "float8_e5m2": DType.F8_E5M2,
    "int64": DType.I64,
    "int32": DType.I32,
    "int16": DType.I16,
    "int8": DType.I8,
    "uint64": DType.U64,
    "uint32": DType.U32,
    "uint16": DType.U16,
    "uint8": DType.U8,
    "bool": DType.BOOL,
    "float8_e4m3fnuz": None,
    "float8_e5m2fnuz": None,
    "float8_e8m0fnu": None,
    "float4_e2m1fn_x2": None,
}
_STORAGES: Mapping[str, DType] = {
    "DoubleStorage": DType.F64,
    "FloatStorage": DType.F32,
    "HalfStorage": DType.F16,
    "BFloat16Storage": DType.BF16,
    "LongStorage": DType.I64,
    "IntStorage": DType.I32,
    "ShortStorage": DType.I16,
    "CharStorage": DType.I8,
    "ByteStorage": DType.U8,
    "BoolStorage": DType.BOOL,
}


def _table() -> Mapping[tuple[str, str], Global]:
    rules: dict[tuple[str, str], Callable[[tuple[Any, ...]], Any]] = {
        ("collections", "OrderedDict"): _ordered,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
        ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
        ("torch", "Size"): _size,
        ("torch", "device"): _device,
    }
    found = {k: Global(".".join(k), "function", rule=rule) for k, rule in rules.items()}
    for name, dtype in _DTYPES.items():
        found["torch", name] = Global(f"torch.{name}", "dtype", dtype)
    for name, kind in _STORAGES.items():
        found["torch", name] = Global(f"torch.{name}", "storage", kind)
    for name in ("UntypedStorage", "_UntypedStorage"):
        found["torch.storage", name] = Global(f"torch.storage.{name}", "storage")
    for key in (("torch", "Tensor"), ("torch.nn.parameter", "Parameter"), ("torch.nn.parameter", "Buffer")):
        found[key] = Global(".".join(key), "class")
    return found


_GLOBALS = _table()
