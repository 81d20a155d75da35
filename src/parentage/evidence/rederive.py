"""Compare a stored evidence with one measured anew from the pinned inputs; name what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["RELATIVE", "Rederivation", "compare_evidence"]

# exp and log differ between processors in the last bits: derived floats agree to this, counts and
# digests exactly.
RELATIVE = 1e-9
# Where a number is the small difference of large ones, its last digits are theirs.
ABSOLUTE = 1e-12
# What was asked, which version measured, and where files lay do not follow from the inputs.
_NOT_DERIVED = frozenset({"schema", "version", "tool", "asked", "notes"})
_NOT_DERIVED_OF_A_MODEL = frozenset({"locator"})
# Entries of a list are called by these fields where they have one, so that a reader finds them.
_LABELS = ("name", "tensor", "arithmetic", "model")


@dataclass(frozen=True, slots=True)
class Rederivation:
    """``differences``: one sentence for each value that does not follow; ``compared``: all values."""

    compared: int
    differences: tuple[str, ...]


def compare_evidence(stored: Mapping[str, Any], derived: Mapping[str, Any]) -> Rederivation:
    """Both as plain values (``records.codec.to_plain``)."""
    counter = _Counter()
    found = tuple(_compare("", stored, derived, counter))
    return Rederivation(counter.compared, found)


class _Counter:
    def __init__(self) -> None:
        self.compared = 0


def _compare(path: str, stored: Any, derived: Any, counter: _Counter) -> Iterator[str]:
    if isinstance(stored, Mapping) and isinstance(derived, Mapping):
        for key in dict.fromkeys([*stored, *derived]):
            if key in _skipped(path):
                continue
            where = f"{path}.{key}" if path else str(key)
            if key not in stored:
                yield f"{where}: re-derived, but not stored"
            elif key not in derived:
                yield f"{where}: stored, but it does not follow from the inputs"
            else:
                yield from _compare(where, stored[key], derived[key], counter)
    elif _is_list(stored) and _is_list(derived):
        if len(stored) != len(derived):
            yield f"{path}: {len(stored)} entries stored, {len(derived)} re-derived"
        for k, (one, other) in enumerate(zip(stored, derived, strict=False)):
            yield from _compare(f"{path}[{_label(one, k)}]", one, other, counter)
    else:
        counter.compared += 1
        if not _agree(stored, derived):
            yield f"{path}: stored {_shown(stored)}, re-derived {_shown(derived)}"


def _skipped(path: str) -> frozenset[str]:
    if not path:
        return _NOT_DERIVED
    model = path.startswith("models[") and path.endswith("]")
    return _NOT_DERIVED_OF_A_MODEL if model else frozenset()


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _label(entry: Any, index: int) -> str:
    if isinstance(entry, Mapping):
        for key in _LABELS:
            if isinstance(entry.get(key), str):
                return str(entry[key])
    return str(index)


def _agree(stored: Any, derived: Any) -> bool:
    if isinstance(stored, bool) or isinstance(derived, bool):
        return stored is derived
    if isinstance(stored, float) or isinstance(derived, float):
        numbers = isinstance(stored, int | float) and isinstance(derived, int | float)
        return numbers and math.isclose(stored, derived, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(stored == derived)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
