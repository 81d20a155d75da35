"""Two vocabularies of one tokenizer family: which row of one is which row of the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.naming import Holder
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import ParentageError
from parentage.records.absence import Absent
from parentage.records.tensors import Piece, TensorRef

__all__ = ["RowPairs", "Vocabularies", "match_rows", "read_vocabulary"]

# The tokenizer.json of the largest vocabularies (256,000 tokens) has some 34 MB.
MOST_BYTES = 64 * 2**20
MOST_TOKENS = 2**21
MOST_RUNS = 2**16
VOCABULARY_ROLES = frozenset(
    (
        "embed_tokens",
        "wte",
        "lm_head",
        "embeddings.word_embeddings",
        "cls.predictions",
        "cls.predictions.decoder",
    )
)


@dataclass(frozen=True, slots=True)
class RowPairs:
    """Row ``own[k]`` of the suspect is row ``theirs[k]`` of the other; ``own`` ascends. ``how``: words."""

    own: NDArray[np.int64]
    theirs: NDArray[np.int64]
    how: str


Cut = tuple[TensorRef, list[TensorRef | Absent], list[tuple[int, str]]]


class Vocabularies:
    """The tokenizers of the suspect and the others, read once and only where sizes differ."""

    def __init__(self, own: Checkpoint, others: Sequence[Checkpoint]) -> None:
        self._checkpoints = (own, *others)
        self._read: dict[int, dict[str, int] | None] = {}

    def _vocabulary(self, index: int) -> dict[str, int] | None:
        if index not in self._read:
            self._read[index] = read_vocabulary(self._checkpoints[index])
        return self._read[index]

    def rows(self, own: Holder, other: TensorRef, k: int) -> RowPairs | None:
        """The rows that an embedding or head shares with another model's of another size; None where it is
        no such tensor, the sizes are equal or the widths are not, or under half of the rows are shared."""
        shape = own.ref.shape
        if not VOCABULARY_ROLES.intersection(own.held.part.roles) or own.turned or other.transposed:
            return None
        if len(shape) != len(other.shape) or shape[1:] != other.shape[1:] or shape[:1] == other.shape[:1]:
            return None
        if not shape or own.ref.dtype.is_float != other.dtype.is_float:
            return None
        pairs = match_rows(self._vocabulary(0), self._vocabulary(k + 1), (shape[0], other.shape[0]))
        return pairs if pairs.own.size and 2 * pairs.own.size >= shape[0] else None

    def cut(
        self, suspect: TensorRef, others: Sequence[TensorRef | Absent], pairs: Sequence[RowPairs | None]
    ) -> Cut:
        """The rows that the suspect and all others share; (checkpoint, reason) for what is left out."""
        rows = suspect.shape[0]
        common = np.arange(rows, dtype=np.int64)
        for pair in pairs:
            if pair is not None:
                common = np.intersect1d(common, pair.own)
        found: list[TensorRef | Absent] = []
        for ref, pair in zip(others, pairs, strict=True):
            if isinstance(ref, Absent):
                found.append(ref)
                continue
            theirs = common if pair is None else pair.theirs[np.searchsorted(pair.own, common)]
            found.append(_rows_of(ref, theirs))
        left = rows - common.size
        missing = [(0, f"{left:,} of its {rows:,} rows have no counterpart in every model")] if left else []
        own = _rows_of(suspect, common)
        return (
            (suspect, [Absent("its rows lie too scattered")] * len(found), [])
            if isinstance(own, Absent)
            else (own, found, missing)
        )


def _rows_of(ref: TensorRef, rows: NDArray[np.int64]) -> TensorRef | Absent:
    """Some rows of a tensor, one after the other."""
    if rows.size == ref.shape[0] and bool((np.diff(rows) == 1).all()) and int(rows[0]) == 0:
        return ref
    width = ref.elements // ref.shape[0]
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    if breaks.size + 1 > MOST_RUNS:
        return Absent(f"its rows lie in more than {MOST_RUNS:,} runs")
    pieces, at = [], 0
    for run in np.split(rows, breaks):
        count = run.size * width
        pieces.append(Piece(at, count, ref, int(run[0]) * width))
        at += count
    shape = (int(rows.size), *ref.shape[1:])
    return TensorRef(ref.name, ref.dtype, shape, "", 0, 0, pieces=tuple(pieces))


def match_rows(
    own: Mapping[str, int] | None, theirs: Mapping[str, int] | None, rows: tuple[int, int]
) -> RowPairs:
    """Rows of equal tokens; where a vocabulary is unknown, equal numbers up to the shorter one.

    ``rows``: of the suspect and of the other. Rows that no token names (padding) have no counterpart.
    """
    if own is None or theirs is None:
        shared = np.arange(min(rows), dtype=np.int64)
        return RowPairs(
            shared, shared, "rows by number up to the shorter vocabulary: no tokenizer lies beside"
        )
    pairs = sorted(
        (row, theirs[token])
        for token, row in own.items()
        if token in theirs and 0 <= row < rows[0] and 0 <= theirs[token] < rows[1]
    )
    mine = np.array([a for a, _ in pairs], np.int64)
    _, first = np.unique(mine, return_index=True)
    others = np.array([b for _, b in pairs], np.int64)
    return RowPairs(mine[first], others[first], "rows of equal tokens")


def read_vocabulary(checkpoint: Checkpoint) -> dict[str, int] | None:
    """Token to row, from the tokenizer's files beside the weights; None where none can be read.

    A file beyond 64 MB or of another form is as none: rows are then matched by number, and that is said.
    """
    for name, parse in _FILES:
        if name in checkpoint.files:
            found = _parsed(checkpoint, name, parse)
            if found:
                return found
    return None


def _parsed(checkpoint: Checkpoint, name: str, parse: Any) -> dict[str, int] | None:
    try:
        text = checkpoint.read_text(name, MOST_BYTES + 1)
        found: dict[str, int] | None = parse(text) if len(text) <= MOST_BYTES else None
    except (ParentageError, ValueError, RecursionError):
        return None
    return found if found is not None and len(found) <= MOST_TOKENS else None


def _tokenizer(text: str) -> dict[str, int] | None:
    loaded = json.loads(text)
    if not isinstance(loaded, dict) or not isinstance(loaded.get("model"), dict):
        return None
    vocabulary = loaded["model"].get("vocab")
    found: dict[str, int] = {}
    if isinstance(vocabulary, dict):
        found = _rows(vocabulary)
    elif isinstance(vocabulary, list):
        # Unigram models list [token, score]; the place is the row.
        found = {
            e[0]: k for k, e in enumerate(vocabulary) if isinstance(e, list) and e and isinstance(e[0], str)
        }
    added = loaded.get("added_tokens")
    for entry in added if isinstance(added, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("content"), str):
            found |= _rows({entry["content"]: entry.get("id")})
    return found


def _flat(text: str) -> dict[str, int] | None:
    loaded = json.loads(text)
    return _rows(loaded) if isinstance(loaded, dict) else None


def _listed(text: str) -> dict[str, int] | None:
    """GGUF's own tokens, in the order of their rows."""
    loaded = json.loads(text)
    if not isinstance(loaded, list):
        return None
    return {token: row for row, token in enumerate(loaded) if isinstance(token, str)}


def _rows(entries: Mapping[Any, Any]) -> dict[str, int]:
    return {str(t): row for t, row in entries.items() if isinstance(row, int) and not isinstance(row, bool)}


def _lines(text: str) -> dict[str, int]:
    return {token: row for row, token in enumerate(text.splitlines())}


_FILES = (
    ("tokenizer.json", _tokenizer),
    ("tokenizer.ggml.tokens.json", _listed),
    ("vocab.json", _flat),
    ("vocab.txt", _lines),
)
