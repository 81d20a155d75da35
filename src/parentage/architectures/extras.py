"""Why a tensor is on one side only: extra parts, adapters, heads that are not stored."""

from __future__ import annotations

import re

from parentage.architectures.naming import Holder, Naming

__all__ = ["leftover_reason", "unmatched_reason"]

NO_COUNTERPART = "no other model has this tensor"
NOT_IN_SUSPECT = "the suspect has no such tensor"
_ADAPTER = re.compile(r"(?:^|\.)lora_(?:embedding_)?([AB])(?:\.|$)")
_PREFIX = "base_model.model."
_PARTS = (
    (re.compile(r"(?:^|\.)mtp\."), "a part that predicts further tokens (mtp)"),
    (re.compile(r"(?:^|\.)(?:visual|vision_tower|vision_model)\."), "a part that reads images"),
    (re.compile(r"(?:^|\.)(?:audio_tower|audio_model)\."), "a part that reads sound"),
)


def unmatched_reason(own: Holder) -> str:
    """For a tensor of the suspect that meets none."""
    return _with_part(NO_COUNTERPART, own.ref.name)


def leftover_reason(other: Holder, naming: Naming) -> str:
    """For a tensor of another model that meets none of the suspect's."""
    name = other.ref.name
    adapter = _ADAPTER.search(name)
    if adapter:
        return _adapter_reason(name, adapter, other, naming)
    return _with_part(NOT_IN_SUSPECT, name)


def _with_part(reason: str, name: str) -> str:
    part = next((words for pattern, words in _PARTS if pattern.search(name)), None)
    adapter = _ADAPTER.search(name)
    if adapter:
        part = f"a factor of an adapter for {_target(name, adapter)}"
    return reason if part is None else f"{reason}: {part}"


def _adapter_reason(name: str, found: re.Match[str], other: Holder, naming: Naming) -> str:
    """One factor of an adapter: for which weight, of what rank, and is the other factor there."""
    twin = name[: found.start(1)] + ("B" if found[1] == "A" else "A") + name[found.end(1) :]
    shape = other.ref.shape
    rank = shape[0 if found[1] == "A" else -1] if shape else 0
    pair = "" if twin in naming.holders else ", its other factor is missing"
    return f"a factor of an adapter (rank {rank}) for {_target(name, found)}, not a weight{pair}"


def _target(name: str, found: re.Match[str]) -> str:
    return name[: found.start()].removeprefix(_PREFIX) + ".weight"
