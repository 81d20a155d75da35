"""Which tensor of a base each tensor of an adapter is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import CheckpointError
from parentage.records.tensors import TensorRef

__all__ = ["Factors", "Parts", "Targets", "sort_parts"]

PREFIX: Final = "base_model.model."
_FACTOR: Final = re.compile(
    r"(?P<module>.+?)\.lora_(?P<embedding>embedding_)?(?P<part>A|B|magnitude_vector)"
    r"(?:\.(?!weight$|bias$)[\w\-]+)?(?:\.weight)?"
)
LEAST_TAIL: Final = 2


@dataclass(slots=True)
class Factors:
    """What an adapter holds for one module. ``embedding``: A is [rank, tokens], B [width, rank]."""

    embedding: bool = False
    a: TensorRef | None = None
    b: TensorRef | None = None
    magnitude: TensorRef | None = None


@dataclass(slots=True)
class Parts:
    """``factors`` by module name; ``saved``: whole tensors by the name that they take the place of."""

    factors: dict[str, Factors] = field(default_factory=dict)
    saved: dict[str, TensorRef] = field(default_factory=dict)


def sort_parts(tensors: Mapping[str, TensorRef], where: str) -> Parts:
    """Sort an adapter's tensors; raises ``CheckpointError`` (``adapter-factors``)."""
    parts = Parts()
    for name, ref in tensors.items():
        own = name.removeprefix(PREFIX)
        found = _FACTOR.fullmatch(own)
        if found is None:
            if "lora_" in own:
                raise _factors(f"{shown(name)} is no factor of a kind that is known", where)
            parts.saved[own.replace(".base_layer.", ".")] = ref
            continue
        module = parts.factors.setdefault(found["module"], Factors())
        module.embedding = module.embedding or found["embedding"] is not None
        part = {"A": "a", "B": "b"}.get(found["part"], "magnitude")
        if getattr(module, part) is not None:
            raise _factors(f"{shown(name)} is there under two names", where)
        setattr(module, part, ref)
    for name, module in parts.factors.items():
        if module.a is None or module.b is None:
            raise _factors(f"one of the two factors for {shown(name)} is missing", where)
    if not parts.factors and not parts.saved:
        raise _factors("it holds no tensors", where)
    return parts


def _factors(message: str, where: str) -> CheckpointError:
    hint = "fetch the adapter again, or have the tool that wrote it write it anew"
    return CheckpointError(message, code="adapter-factors", where=where, hint=hint)


class Targets:
    """A base's tensors by the ends of their names: wrappers put more or less in front of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._tails: dict[str, list[str]] = {}
        for name in sorted(self._names):
            for tail in _tails(name):
                self._tails.setdefault(tail, []).append(name)

    def find(self, wanted: str, where: str) -> str:
        """The tensor meant by a name; raises ``CheckpointError`` (``adapter-other-model``)."""
        if wanted in self._names:
            return wanted
        longer = self._tails.get(wanted, [])
        found = longer or [t for t in _tails(wanted) if t in self._names][:1]
        if len(found) == 1:
            return found[0]
        what = "no tensor" if not found else "more than one tensor"
        raise CheckpointError(
            f"the adapter changes {shown(wanted)}, and {what} of the base is that",
            code="adapter-other-model",
            where=where,
            hint="name the base that the adapter was trained over",
        )


def _tails(name: str) -> list[str]:
    """The name without its first parts, longest first."""
    parts = name.split(".")
    return [".".join(parts[k:]) for k in range(1, len(parts) - LEAST_TAIL + 1)]
