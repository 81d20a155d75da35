"""The families in the order in which they are asked; the first whose signs a checkpoint bears is it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from parentage.architectures.families.family import Family, Shape

__all__ = ["find_family"]

_ROOM = "parentage.architectures.families"
# Those with names of their own first, those that share Llama's names last.
FAMILIES = (
    "unet:FAMILY",
    "bert:FAMILY",
    "gpt2:FAMILY",
    "qwen3_5_moe:FAMILY",
    "mixtral:FAMILY",
    "mixtral:STACKED",
    "phi:FAMILY",
    "phi:FUSED",
    "qwen3:FAMILY",
    "llama:FAMILY",
    "mistral:FAMILY",
    "qwen2:FAMILY",
    "gemma:FAMILY",
)
GGUF_BLOCK = "blk."


def find_family(
    shapes: Mapping[str, Shape], config: Mapping[str, Any] | None, metadata: Mapping[str, str]
) -> Family | None:
    """The family of a checkpoint by its names; its config decides among families that share their names."""
    if any(name.startswith(GGUF_BLOCK) for name in shapes):
        return _gguf(metadata)
    fitting = [f for f in _all() if _bears(f, shapes)]
    said = {str(value) for value in _model_types(config)}
    return next((f for f in fitting if said & set(f.model_types)), fitting[0] if fitting else None)


def _gguf(metadata: Mapping[str, str]) -> Family:
    module = import_module(f"{_ROOM}.gguf")
    found: Family = module.ARCHITECTURES.get(metadata.get("general.architecture", ""), module.PLAIN)
    return found


def _all() -> Iterable[Family]:
    for entry in FAMILIES:
        module, _, name = entry.partition(":")
        family: Family = getattr(import_module(f"{_ROOM}.{module}"), name)
        yield family


def _bears(family: Family, shapes: Mapping[str, Shape]) -> bool:
    found = {_key(family.rename(name)) for name in shapes}
    return all(any(_ends(key, sign) for key in found) for sign in family.signs)


def _key(name: str) -> str:
    """A name with its numbers as ``*`` and without leaf."""
    tokens = name.split(".")
    if len(tokens) > 1 and tokens[-1] in ("weight", "bias"):
        tokens.pop()
    return ".".join("*" if t.isdecimal() else t for t in tokens)


def _ends(key: str, sign: str) -> bool:
    return key == sign or key.endswith("." + sign)


def _model_types(config: Mapping[str, Any] | None) -> Iterable[Any]:
    if config is None:
        return
    yield config.get("model_type")
    text = config.get("text_config")
    if isinstance(text, Mapping):
        yield text.get("model_type")
