"""One checkpoint's names read by its family: what each tensor holds, and which tensor holds a slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from parentage.architectures.families.family import Family, Held, Slot, hold
from parentage.architectures.families.registry import find_family
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.records.tensors import TensorRef

__all__ = ["Holder", "Naming", "name_checkpoint"]

Address = tuple[str, int | None, str, str]
# Where the head is the token embedding, a checkpoint stores the second alone.
EMBEDDINGS = ("embed_tokens", "wte")
HEAD = "lm_head"


@dataclass(frozen=True, slots=True)
class Holder:
    """A tensor, as maps of the families have it ([out, in]), and what it holds."""

    ref: TensorRef
    held: Held
    turned: bool
    """Does the file hold the matrix [in, out]?"""


@dataclass(frozen=True)
class Naming:
    """``family`` None: names and shapes alone say what is what."""

    checkpoint: Checkpoint
    family: Family | None
    holders: dict[str, Holder]

    @cached_property
    def _by_address(self) -> dict[Address, list[Holder]]:
        found: dict[Address, list[Holder]] = {}
        for holder in self.holders.values():
            held = holder.held
            for role in held.part.roles:
                found.setdefault((held.stack, held.layer, role, held.leaf), []).append(holder)
        return found

    def holding(self, slot: Slot) -> list[Holder]:
        """The tensors that hold a slot, alone or among others."""
        known = self._by_address.get((slot.stack, slot.layer, slot.role, slot.leaf), [])
        if slot.expert is None:
            return known
        return [h for h in known if h.held.part.experts or h.held.expert == slot.expert]

    def embedding(self) -> Holder | None:
        """The token embedding that stands for a head that is not stored; None where it does not."""
        for role in EMBEDDINGS:
            found = self._by_address.get(("", None, role, "weight"), [])
            if len(found) == 1 and self._tied:
                return found[0]
        return None

    @property
    def _tied(self) -> bool:
        said = _setting(self.checkpoint.config, "tie_word_embeddings")
        return said if isinstance(said, bool) else self.family is not None and self.family.tied

    def heads(self, kind: str) -> int | None:
        """Attention heads (``q``), or those of keys and values (``kv``); None where nothing says."""
        config, names = self.checkpoint.config, ["num_attention_heads"]
        metadata, keys = self.checkpoint.metadata, ["attention.head_count"]
        if kind == "kv":
            names, keys = ["num_key_value_heads", *names], ["attention.head_count_kv", *keys]
        said = next((v for n in names if (v := _setting(config, n)) is not None), None)
        if said is None:
            architecture = metadata.get("general.architecture", "")
            said = next((v for k in keys if (v := metadata.get(f"{architecture}.{k}"))), None)
        return _count(said)

    def stacks(self) -> tuple[str, ...]:
        """The names of all stacks of layers, the trunk's empty one first."""
        return tuple(sorted(self._layers))

    @cached_property
    def _layers(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for holder in self.holders.values():
            if holder.held.layer is not None:
                found.setdefault(holder.held.stack, set()).add(holder.held.layer)
        return found

    def prefix(self, stack: str) -> str:
        """What stands before a layer's number in the names of a stack."""
        for name, holder in self.holders.items():
            layer, tokens = holder.held.layer, name.split(".")
            if holder.held.stack == stack and layer is not None and str(layer) in tokens:
                # Sentence-transformers number their modules: the layer's number is a later one.
                return ".".join(tokens[: len(tokens) - 1 - tokens[::-1].index(str(layer))])
        return stack

    def layers(self, stack: str = "") -> tuple[int, ...]:
        """The numbers of a stack's layers, in order."""
        return tuple(sorted(self._layers.get(stack, ())))


def _setting(config: dict[str, Any] | None, name: str) -> Any:
    if config is None:
        return None
    text = config.get("text_config")
    inner = text.get(name) if isinstance(text, dict) else None
    return config.get(name) if inner is None else inner


def _count(said: Any) -> int | None:
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < 6:
        said = int(said)
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 < said < 100_000 else None


def name_checkpoint(checkpoint: Checkpoint) -> Naming:
    """Read a checkpoint's names by the first family that knows them."""
    shapes = {name: tuple(ref.shape) for name, ref in checkpoint.tensors.items()}
    family = find_family(shapes, checkpoint.config, checkpoint.metadata)
    return Naming(checkpoint, family, dict(_holders(checkpoint, family)))


def _holders(checkpoint: Checkpoint, family: Family | None) -> Iterator[tuple[str, Holder]]:
    table = {} if family is None else family.table
    shapes = {name: tuple(ref.shape) for name, ref in checkpoint.tensors.items()}
    turned = family is not None and family.turned(shapes)
    for name, ref in checkpoint.tensors.items():
        held = hold(name if family is None else family.rename(name), table)
        flip = turned and held.part.linear and len(ref.shape) == 2 and not ref.transposed
        yield name, Holder(_turn(ref) if flip else ref, held, flip)


def _turn(ref: TensorRef) -> TensorRef:
    return replace(ref, shape=ref.shape[::-1], transposed=True)
