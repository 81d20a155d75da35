"""What lies in one checkpoint: what ``inspect`` finds and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.absence import Absent

__all__ = [
    "SCHEMA",
    "VERSION",
    "ComponentSummary",
    "InspectedTensor",
    "Inspection",
    "InspectionTotal",
    "Numbers",
    "SideFile",
    "WeightFile",
]

SCHEMA = "parentage.inspection"
VERSION = 1


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One weight file: sizes in bytes, and how many tensors it holds."""

    name: str
    size: int
    header_bytes: int
    tensors: int
    sha256: str | Absent


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file beside the weights; ``kind`` is config, tokenizer, card, template, recipe or licence."""

    name: str
    kind: str
    size: int | Absent


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the numbers say, from ``examined`` of them (all, when ``whole``).

    ``effective_dtype``: the narrowest dtype that holds all of them; a float32 file often carries bf16
    numbers. ``zeros`` counts both zeros.
    """

    examined: int
    whole: bool
    effective_dtype: str
    nan: int
    infinite: int
    zeros: int


@dataclass(frozen=True, slots=True)
class InspectedTensor:
    """One tensor: what the header says of it, and what its numbers say.

    ``begin``, ``end``: byte offsets in ``file``. ``checksum``: CRC-32 of its bytes, in hexadecimal.
    """

    name: str
    role: str
    component: str
    layer: int | Absent
    dtype: str
    shape: tuple[int, ...]
    elements: int
    size: int
    file: str
    begin: int
    end: int
    checksum: str | Absent
    numbers: Numbers | Absent


@dataclass(frozen=True, slots=True)
class ComponentSummary:
    """All tensors of one component that are stored in one dtype; ``layers`` counts those they lie in."""

    component: str
    dtype: str
    effective_dtypes: tuple[str, ...]
    tensors: int
    layers: int
    elements: int
    size: int


@dataclass(frozen=True, slots=True)
class InspectionTotal:
    """The whole checkpoint; ``size`` is bytes of tensor data, ``layers`` the numbered layers found."""

    tensors: int
    layers: int
    elements: int
    size: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """One checkpoint. ``declared``: sources that its own files name, which are claims only.

    ``config``: the entries of config.json that say what the model is; ``metadata``: what the weight
    files' headers carry beside the tensors.
    """

    locator: str
    revision: str | Absent
    total: InspectionTotal
    weight_files: tuple[WeightFile, ...]
    side_files: tuple[SideFile, ...]
    config: Mapping[str, Any] | Absent
    metadata: Mapping[str, str]
    declared: tuple[str, ...]
    oddities: tuple[str, ...]
    components: tuple[ComponentSummary, ...]
    tensors: tuple[InspectedTensor, ...]
