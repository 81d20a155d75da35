"""Where a tensor stands in its model: in which layer of which stack, or outside of all layers.

A model has one trunk, whose layers a recipe's ``layer_range`` and gradients speak of. Vision towers and
extra heads that predict further tokens have stacks of their own, which no recipe numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from parentage.architectures.roles import role_of
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.records.tensors import TensorRef

__all__ = ["Key", "Layout", "at_layer", "layer_of", "layout_of"]

_LAYER: Final = re.compile(r"^((?:.*?\.)?(?:layers?|h|blocks?)\.)(\d{1,6})(\..*)$")
_ASIDE: Final = re.compile(r"(^|\.)(mtp|visual|vision_tower|vision_model|audio_tower)\b")
# Names of the number of layers in configs: of most families, of GPT-2, of T5.
_COUNTS: Final = ("num_hidden_layers", "n_layer", "num_layers")


# Wrappers add these in front of the names of one and the same model; longest first.
_PREFIXES: Final = ("model.language_model.", "0.auto_model.", "transformer.", "model.", "bert.")


def stem(name: str) -> str:
    """The name without a wrapper's prefix."""
    return next((name.removeprefix(p) for p in _PREFIXES if name.startswith(p)), name)


@dataclass(frozen=True, slots=True)
class Key:
    """What a tensor is called in every layout of its model. ``layer``: in the trunk; None outside."""

    head: str
    layer: int | None
    tail: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's tensors by key. ``layers``: how many the trunk has; ``trunk``: its names' beginning."""

    tensors: Mapping[Key, TensorRef]
    layers: int
    trunk: str

    def in_layer(self, number: int) -> Iterator[tuple[Key, TensorRef]]:
        """The tensors of one layer of the trunk, in file order."""
        return ((k, t) for k, t in self.tensors.items() if k.layer == number)

    def outside(self) -> Iterator[tuple[Key, TensorRef]]:
        """The tensors outside the trunk's layers, in file order."""
        return ((k, t) for k, t in self.tensors.items() if k.layer is None)


def layout_of(checkpoint: Checkpoint) -> Layout:
    """Find the trunk and key every tensor; two names of one stem keep their full names."""
    ordered = sorted(checkpoint.tensors.values(), key=lambda t: (t.shard, t.begin, t.name))
    trunk = _trunk(ordered, _declared_layers(checkpoint.config))
    stems = Counter(stem(t.name) for t in ordered)
    found: dict[Key, TensorRef] = {}
    for tensor in ordered:
        name = stem(tensor.name) if stems[stem(tensor.name)] == 1 else tensor.name
        found[_key(tensor.name, name, trunk)] = tensor
    numbers = [k.layer for k in found if k.layer is not None]
    return Layout(found, max(numbers) + 1 if numbers else 0, trunk)


def at_layer(name: str, number: int) -> str:
    """The name with the number of its layer replaced."""
    found = _LAYER.match(name)
    return name if found is None else f"{found[1]}{number}{found[3]}"


def layer_of(name: str, trunk: str) -> int | None:
    """The layer of the trunk that a tensor of this name lies in; None outside."""
    found = _LAYER.match(name)
    return int(found[2]) if found is not None and stem(found[1]) == stem(trunk) else None


def _key(full: str, name: str, trunk: str) -> Key:
    found = _LAYER.match(full)
    if found is None or found[1] != trunk:
        return Key(name, None, "")
    return Key(stem(trunk), int(found[2]), found[3])


def _trunk(tensors: list[TensorRef], declared: int | None) -> str:
    """The stack that has as many layers as the config says, else the largest one."""
    sizes: Counter[str] = Counter()
    layers: dict[str, set[int]] = {}
    for tensor in tensors:
        found = _LAYER.match(tensor.name)
        if (
            found is not None
            and not _ASIDE.search(tensor.name)
            and role_of(tensor.name).component != "vision"
        ):
            sizes[found[1]] += tensor.elements
            layers.setdefault(found[1], set()).add(int(found[2]))
    fitting = [head for head, numbers in layers.items() if len(numbers) == declared]
    candidates = fitting or list(sizes)
    return max(candidates, key=lambda head: (sizes[head], head), default="")


def _declared_layers(config: dict[str, Any] | None) -> int | None:
    text = (config or {}).get("text_config")
    for table in (config or {}, text if isinstance(text, dict) else {}):
        for name in _COUNTS:
            value = table.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None
