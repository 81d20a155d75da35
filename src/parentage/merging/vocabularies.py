"""Vocabularies of a merge: which row of which model each row of the output's embeddings is made of.

A row is only ever made of rows of the same token. What a model lacks is filled from one that has it: from
the base, else from the first source that has the token (mergekit averages those that have it where there is
no base). Rows that no token names are the vocabulary source's own padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.vocabulary import read_vocabulary
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import PlanError
from parentage.merging.operands import Operand, decode_into
from parentage.records.recipe import ModelName, Recipe, TokenizerChoice, TokenSource
from parentage.records.tensors import TensorRef

__all__ = ["MappedOperand", "Vocabulary", "check_alike", "make_vocabulary"]

Rows = NDArray[np.int64]
Tokens = Mapping[str, int]
MISSING = -1


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``rows``: of the output. ``maps``: for each model, the row of its own for each row of the output, -1
    where it has none. ``filled``: rows that the recipe itself chooses. ``added``: tokens that the source's
    tokenizer lacks, with their rows."""

    source: ModelName
    rows: int
    maps: Mapping[ModelName, Rows]
    filled: Mapping[int, TokenSource]
    own: Mapping[ModelName, Tokens]
    added: Mapping[str, int]

    def operand(
        self, model: ModelName, tensors: Mapping[ModelName, Operand], base: ModelName | None
    ) -> Operand:
        """One model's tensor with its rows where the output has them, gaps filled by the others."""
        order = [model]
        if base is not None and base in tensors and base != model:
            order.append(base)
        order += [m for m in tensors if m not in order]
        parts = tuple(tensors[m] for m in order)
        place = np.full(self.rows, MISSING, np.int64)
        row = np.full(self.rows, MISSING, np.int64)
        for k, other in enumerate(order):
            free = (place == MISSING) & (self.maps[other] != MISSING)
            place[free], row[free] = k, self.maps[other][free]
        for at, source in self.filled.items():
            if source.force or self.maps[model][at] == MISSING:
                place[at], row[at] = self._donor(source, at, order)
        own = tensors[model].tensor
        if own.shape[0] == self.rows and not place.any() and bool((row == np.arange(self.rows)).all()):
            return tensors[model]
        shape = (self.rows, *own.shape[1:])
        ref = TensorRef(own.name, own.dtype, shape, own.shard, 0, prod(shape) * own.dtype.itemsize)
        return MappedOperand(tensors[model].checkpoint, ref, parts, place, row)

    def _donor(self, source: TokenSource, at: int, order: Sequence[ModelName]) -> tuple[int, int]:
        if source.model is None:
            return MISSING, MISSING
        if source.model not in order:
            raise _no_token(source, "is no source of this tensor")
        if source.token is None:
            row = int(self.maps[source.model][at])
        elif isinstance(source.token, int):
            row = source.token
        else:
            row = self.own[source.model].get(source.token, MISSING)
        if row < 0:
            raise _no_token(source, "has no such token")
        return order.index(source.model), row


def _no_token(source: TokenSource, why: str) -> PlanError:
    return PlanError(
        f"a token's row is wanted from {source.model}, which {why}",
        code="plan-token",
        hint="check tokenizer.tokens in the recipe",
    )


@dataclass(frozen=True, slots=True)
class MappedOperand(Operand):
    """Rows gathered from several tensors: row r is ``row[r]`` of ``parts[place[r]]``, zeros where -1."""

    parts: tuple[Operand, ...]
    place: Rows
    row: Rows

    def __post_init__(self) -> None:
        for k, part in enumerate(self.parts):
            used = self.row[self.place == k]
            if used.size and int(used.max()) >= part.tensor.shape[0]:
                raise PlanError(
                    f"the tokenizer names row {int(used.max()):,} of {part.tensor.shape[0]:,}",
                    code="plan-vocabulary",
                    where=part.tensor.name,
                    hint="the tokenizer beside these weights is another model's",
                )

    @property
    def _width(self) -> int:
        return self.tensor.elements // max(self.tensor.shape[0], 1)

    def values_into(self, start: int, out: NDArray[np.float32]) -> None:
        """Exact values [n] from element ``start`` of the output on."""
        for at, count, part, begin in self._runs(start, out.size):
            piece = out[at : at + count]
            if part is None:
                piece[:] = 0
            else:
                bits = part.checkpoint.read(part.tensor, begin, count)
                decode_into(bits, part.tensor.dtype, piece)

    def bits(self, start: int, count: int) -> NDArray[np.unsignedinteger]:
        """Storage bits [count]; the parts have one dtype."""
        found = np.zeros(count, self.tensor.dtype.storage)
        for at, size, part, begin in self._runs(start, count):
            if part is not None:
                found[at : at + size] = part.checkpoint.read(part.tensor, begin, size)
        return found

    def bits_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """The same, to ``out`` [n]."""
        out[:] = self.bits(start, out.size)

    def announce(self, start: int, count: int) -> None:
        """Rows lie scattered: each is read when its turn comes."""

    def _runs(self, start: int, count: int) -> list[tuple[int, int, Operand | None, int]]:
        """(place in the piece, elements, part, first element in it) over rows that lie together."""
        width, found = self._width, []
        first, last = start // width, (start + count - 1) // width
        place, row = self.place[first : last + 1], self.row[first : last + 1]
        together = (np.diff(place) == 0) & ((np.diff(row) == 1) | (place[1:] == MISSING))
        edges = [0, *(np.flatnonzero(~together) + 1).tolist(), last + 1 - first]
        for begin, end in pairwise(edges):
            low = max((first + begin) * width, start)
            high = min((first + end) * width, start + count)
            part = None if place[begin] == MISSING else self.parts[place[begin]]
            inside = int(row[begin]) * width + low - (first + begin) * width
            found.append((low - start, high - low, part, inside))
        return found


def make_vocabulary(
    recipe: Recipe, opened: Mapping[ModelName, Checkpoint], sizes: Mapping[ModelName, int]
) -> Vocabulary | None:
    """The output's vocabulary as the recipe chooses it; None where it says nothing.

    ``sizes``: rows of each model's token embedding. Raises ``PlanError`` (``plan-vocabulary``).
    """
    choice = recipe.tokenizer
    if choice is None:
        return None
    own = {model: _tokens(model, checkpoint) for model, checkpoint in opened.items() if model in sizes}
    base = recipe.base_model if recipe.base_model in own else next(iter(own))
    source = choice.source if isinstance(choice.source, ModelName) else base
    if source is None or source not in own:
        raise PlanError(
            f"the vocabulary of {source} is wanted, which is no model of the recipe",
            code="plan-vocabulary",
            hint="tokenizer: {source: base}, union, or one of the recipe's models",
        )
    table, added = dict(own[source]), dict[str, int]()
    size = max(sizes[source], max(table.values(), default=-1) + 1)
    if choice.source == "union":
        size = max(table.values(), default=-1) + 1
        for token in _others(own, source, choice):
            if token not in table:
                table[token] = added[token] = size
                size += 1
    step = choice.pad_to_multiple_of or 1
    rows = -(-size // step) * step
    maps = {model: _map(tokens, table, rows) for model, tokens in own.items()}
    if choice.source != "union":
        # The source's padding stays its own.
        named = np.zeros(rows, np.bool_)
        named[[row for row in table.values() if row < rows]] = True
        padding = np.flatnonzero(~named[: sizes[source]])
        maps[source][padding] = padding
    filled = {table[t]: s for t, s in choice.tokens.items() if t in table}
    return Vocabulary(source, rows, maps, filled, own, added)


def _others(own: Mapping[ModelName, Tokens], source: ModelName, choice: TokenizerChoice) -> list[str]:
    """The other models' tokens in order of models and rows, then those that the recipe names."""
    found = [t for m, tokens in own.items() if m != source for t in sorted(tokens, key=lambda t: tokens[t])]
    return [*found, *choice.tokens]


def _tokens(model: ModelName, checkpoint: Checkpoint) -> dict[str, int]:
    found = read_vocabulary(checkpoint)
    if found is None:
        raise PlanError(
            "its vocabulary is needed to map rows by token, and no tokenizer can be read beside it",
            code="plan-vocabulary",
            where=str(model),
            hint="put tokenizer.json, vocab.json or vocab.txt beside the weights",
        )
    return found


def _map(tokens: Tokens, table: Tokens, rows: int) -> Rows:
    found = np.full(rows, MISSING, np.int64)
    for token, at in table.items():
        found[at] = tokens.get(token, MISSING)
    return found


def check_alike(opened: Mapping[ModelName, Checkpoint]) -> None:
    """Refuse models whose tokenizers give one row to two tokens, where the recipe says nothing of it."""
    first: tuple[ModelName, dict[int, str]] | None = None
    seen: bytes | None = None
    for model, checkpoint in opened.items():
        if "tokenizer.json" not in checkpoint.files:
            continue
        raw = checkpoint.read_text("tokenizer.json", 2**26).encode("utf-8", errors="replace")
        if raw == seen:
            continue
        by_row = {row: token for token, row in (read_vocabulary(checkpoint) or {}).items()}
        if first is None:
            first, seen = (model, by_row), raw
            continue
        for row in sorted(by_row.keys() & first[1].keys()):
            if by_row[row] != first[1][row]:
                raise PlanError(
                    f"row {row:,} is the token {first[1][row][:40]!r} in {first[0]} and "
                    f"{by_row[row][:40]!r} in {model}: their average would mean nothing",
                    code="plan-vocabulary",
                    hint="tokenizer: {source: base} or {source: union} maps rows by token",
                )
