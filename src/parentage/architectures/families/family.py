"""What a family says of its names, and what a tensor holds by it.

The vocabulary of roles is the one that Llama's names made usual (``self_attn.q_proj``); BERT, GPT-2 and
image models have roles of their own. A table's key is a name without wrapper and leaf, numbers as ``*``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Family", "Held", "Part", "Shape", "Slot", "hold", "stem"]

Shape = tuple[int, ...]

# What wrappers put in front of the names of one and the same model.
WRAPPERS = frozenset(
    (
        "_orig_mod",
        "auto_model",
        "backbone",
        "base_model",
        "bert",
        "inner",
        "language_model",
        "model",
        "module",
        "roberta",
        "text_model",
        "transformer",
    )
)
# The last token of a name; BERT's first checkpoints said gamma and beta.
LEAVES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
LAYERS = frozenset(("layers", "layer", "h", "blk", "blocks"))
LONGEST_NUMBER = 6


@dataclass(frozen=True, slots=True)
class Part:
    """``roles`` lie one after the other along a tensor's output dimension.

    ``experts``: the first dimension counts a layer's experts. ``even``: the roles are equally large (else
    only another model says where one ends). ``linear``: a matrix of a linear map, which some families
    store [in, out]. ``heads``: llama.cpp stores this one's rows in another order (``q`` or ``kv`` heads).
    ``refused``: why the numbers cannot be compared with the other families'. ``plus_one``: 1 + w is stored
    where the other families store w.
    """

    roles: tuple[str, ...]
    experts: bool = False
    even: bool = False
    linear: bool = True
    heads: str = ""
    refused: str = ""
    plus_one: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one matrix or vector: in which stack (empty: the trunk), layer, role, expert."""

    stack: str
    layer: int | None
    role: str
    leaf: str
    expert: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a tensor holds: its part at (stack, layer, expert); ``known`` by a rule, or by name alone."""

    stack: str
    layer: int | None
    leaf: str
    expert: int | None
    part: Part
    known: bool

    def slot(self, role: str, expert: int | None = None) -> Slot:
        """The slot of one role, in a tensor of all experts that of ``expert``."""
        return Slot(self.stack, self.layer, role, self.leaf, self.expert if expert is None else expert)


def _never(shapes: Mapping[str, Shape]) -> bool:
    return False


def _same(name: str) -> str:
    return name


@dataclass(frozen=True, slots=True)
class Family:
    """``signs``: keys of which a checkpoint of the family has all; ``model_types``: what its config says.

    ``turned``: does this checkpoint (shapes by name) store its linear maps as [in, out]? ``rename``
    brings another convention's names to those of the table. ``tied``: without a head, the embedding is it.
    """

    id: str
    title: str
    signs: tuple[str, ...]
    table: Mapping[str, Part]
    model_types: tuple[str, ...] = ()
    turned: Callable[[Mapping[str, Shape]], bool] = field(default=_never)
    rename: Callable[[str], str] = field(default=_same)
    tied: bool = False


def hold(name: str, table: Mapping[str, Part]) -> Held:
    """What a tensor holds by a table; by its name without wrappers where no key fits.

    Tokens before the key are wrappers, which are dropped, or name another stack (``mtp``), which is kept.
    """
    tokens = name.split(".")
    leaf = LEAVES.get(tokens[-1], "") if len(tokens) > 1 else ""
    if leaf:
        tokens.pop()
    for first in range(len(tokens)):
        if first > 1 and _is_number(tokens[first - 1]):
            break
        rest = tokens[first:]
        part = table.get(".".join("*" if _is_number(t) else t for t in rest))
        if part is not None:
            # Tensors of all experts have no leaf in some families: they are the weights.
            leaf = leaf or ("weight" if part.experts else "")
            layer, expert = (*(int(t) for t in rest if _is_number(t)), None, None)[:2]
            return Held(_stack(tokens[:first]), layer, leaf, expert, part, True)
    return _by_name(tokens, leaf)


def _is_number(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) <= LONGEST_NUMBER


def _stack(tokens: list[str]) -> str:
    # Sentence-transformers numbers its modules: ``0.auto_model``.
    return ".".join(t for t in tokens if t not in WRAPPERS and t != "0")


def stem(name: str) -> str:
    """The name without wrappers in front."""
    return ".".join(_unwrapped(name.split(".")))


def _unwrapped(tokens: list[str]) -> list[str]:
    first = 0
    while first < len(tokens) - 1 and (tokens[first] in WRAPPERS or (first == 0 and tokens[0] == "0")):
        first += 1
    return tokens[first:]


def _by_name(tokens: list[str], leaf: str) -> Held:
    rest = _unwrapped(tokens)
    for k in range(1, len(rest)):
        if rest[k - 1] in LAYERS and _is_number(rest[k]):
            role = ".".join((rest[k - 1], "*", *rest[k + 1 :]))
            return Held(
                ".".join(rest[: k - 1]), int(rest[k]), leaf, None, Part((role,), linear=False), False
            )
    return Held("", None, leaf, None, Part((".".join(rest),), linear=False), False)
