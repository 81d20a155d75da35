"""Dataclass trees to plain JSON values and back, strictly.

``Absent`` is written as ``{"absent": reason}``; tuples as lists; enums as their value. Reading
checks every field's presence and type, so that a damaged file gives one clear error and not a crash
three rooms later.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, Union

from parentage.errors import EvidenceError, OutputError
from parentage.records.absence import Absent

__all__ = ["MAX_DEPTH", "MAX_WHOLE", "from_plain", "to_plain"]

T = TypeVar("T")

MAX_DEPTH = 32
MAX_WHOLE = 2**63 - 1


def to_plain(value: object) -> Any:
    """Turn a record into values that ``json`` writes; ``OutputError`` for NaN, infinity and objects."""
    if isinstance(value, Absent):
        return {"absent": value.reason}
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(v) for v in value]
    return _scalar(value)


def _scalar(value: object) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OutputError("a number that is not finite cannot be saved", code="not-finite")
        return float(value)
    raise OutputError(f"a {type(value).__name__} cannot be saved", code="not-serialisable")


def from_plain(cls: type[T], value: Any, where: str = "$") -> T:
    """Read a record of type ``cls``; raises ``EvidenceError`` (``record-shape``) naming the place."""
    result = _read(cls, value, where)
    return typing.cast(T, result)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fail(where: str, wanted: str) -> EvidenceError:
    return EvidenceError(
        f"expected {wanted}",
        code="record-shape",
        where=where,
        hint="the file was changed after parentage wrote it: fetch it again",
    )


def _read(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return _read_free(value, where)
    if origin in (Union, types.UnionType):
        return _read_union(typing.get_args(kind), value, where)
    if origin is tuple:
        return _read_tuple(typing.get_args(kind), value, where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _read_mapping(typing.get_args(kind), value, where)
    if dataclasses.is_dataclass(kind):
        return _read_record(typing.cast(type, kind), value, where)
    is_enum = isinstance(kind, type) and issubclass(kind, Enum)
    return _read_enum(kind, value, where) if is_enum else _read_scalar(kind, value, where)


def _read_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if isinstance(value, dict) and set(value) == {"absent"} and Absent in kinds:
        return _read_record(Absent, {"reason": value["absent"]}, where)
    if value is None and type(None) in kinds:
        return None
    problem: EvidenceError | None = None
    for kind in kinds:
        if kind in (Absent, type(None)):
            continue
        try:
            return _read(kind, value, where)
        except EvidenceError as error:
            problem = error
    raise problem or _fail(where, "a known value")


def _read_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _fail(where, "a list")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_read(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(args) != len(value):
        raise _fail(where, f"{len(args)} entries")
    return tuple(_read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(args, value, strict=True)))


def _read_mapping(args: tuple[Any, ...], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fail(where, "an object")
    kind = args[1] if args else Any
    return {str(k): _read(kind, v, f"{where}.{k}") for k, v in value.items()}


def _read_enum(kind: type[Enum], value: Any, where: str) -> Enum:
    try:
        return kind(value)
    except ValueError:
        raise _fail(where, f"one of {[e.value for e in kind]}") from None


def _read_record(cls: type, value: Any, where: str) -> Any:
    if cls is Absent and isinstance(value, dict) and set(value) == {"absent"}:
        value = {"reason": value["absent"]}
    if not isinstance(value, dict):
        raise _fail(where, f"an object ({cls.__name__})")
    hints = _hints(cls)
    given = {}
    for field in dataclasses.fields(cls):
        if field.name in value:
            given[field.name] = _read(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _fail(f"{where}.{field.name}", "a value")
    return cls(**given)


def _read_free(value: Any, where: str, depth: int = 0) -> Any:
    """A value of any shape, of bounded depth and size of number: later readers walk it."""
    if depth > MAX_DEPTH:
        raise _fail(where, f"at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {k: _read_free(v, f"{where}.{k}", depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_read_free(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _bounded(value, where)
    return value


def _read_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind in (int, float) and isinstance(value, bool):
        raise _fail(where, "a number" if kind is float else "a whole number")
    if kind is float and isinstance(value, int | float):
        return float(_bounded(value, where))
    if kind is int and isinstance(value, int):
        return _bounded(value, where)
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise _fail(where, getattr(kind, "__name__", str(kind)))


def _bounded(value: int | float, where: str) -> int | float:
    # Counts are of elements and bytes; JSON may spell whole numbers that no float can hold, and 1e999.
    if not (abs(value) <= MAX_WHOLE if isinstance(value, int) else math.isfinite(value)):
        raise _fail(where, "a number of reasonable size")
    return value
