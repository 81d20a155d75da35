"""Combinations that are made of the adapters' factors, A with A and B with B, and only then multiplied.

peft 0.21 (``tuners/lora/model.py``) weights both factors of the k-th adapter with √|w_k s_k|, s_k its
scaling, and A with the sign of w_k s_k too, and mixes them (``mixing``). So the product of two added
factors holds cross terms, B_j A_i of two adapters, and is not the weighted sum of the adapters' changes.
``cat`` puts the factors side by side, A times w_k times s_k, and its product is that sum.

The outcome is a new adapter whose scaling is 1; where the first adapter scales by the root of the rank, so
does the outcome, and peft multiplies by √rank what the weights were meant to give. The factors of ``cat``
are copied into an adapter of the base's dtype: in a 16-bit model they are rounded to it, and their product
too, before it is added. ``parentage-1`` does none of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parentage.errors import UsageError
from parentage.methods.adapter import Adapted
from parentage.methods.adapters.mixing import Drawn, Mixed, Mixing, Stack, kept
from parentage.methods.blocks import rows_of
from parentage.methods.draws import CounterDraws, TorchDraws
from parentage.methods.grids import on_grid
from parentage.methods.method import Parameters, Profile, Reader, Rule, Values
from parentage.methods.parameters import Addition, Additions, Factors

__all__ = [
    "Pair",
    "additions_of",
    "by_factors",
    "factors_of",
    "rule_of",
    "side_by_side",
    "words_of_factors",
]

# Numbers of both factors of a combined adapter, for one tensor: 256 MB. Rank 128 over a vocabulary of
# 256,000 and a width of 8,192 has half of them.
MOST_NUMBERS = 1 << 26
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Factors [rank, in] and [out, rank], and what their product is multiplied by."""

    a: Values
    b: Values
    scaling: float = 1.0


def additions_of(parameters: Parameters, reader: Reader, name: str) -> Additions:
    """The adapters; raises ``UsageError`` (``adapter-none``, ``array-bad``)."""
    found = parameters.additions
    if found is None or not found.parts:
        raise UsageError("no adapter changes this tensor", code="adapter-none", where=name)
    if len(reader.shape) != 2:
        raise UsageError("an adapter changes matrices only", code="array-bad", where=name)
    return found


def factors_of(part: Addition, shape: tuple[int, ...], turned: bool, name: str) -> Factors:
    """One adapter's factors, checked; raises ``UsageError`` (``array-bad``, ``adapter-not-finite``)."""
    a, b = part.read()
    made = (a.shape[1], b.shape[0]) if turned else (b.shape[0], a.shape[1])
    if a.shape[0] != b.shape[1] or made != tuple(shape):
        raise UsageError(
            f"the factors {list(a.shape)} and {list(b.shape)} of {part.name or 'an adapter'} do not make "
            f"{list(shape)}",
            code="array-bad",
            where=name,
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UsageError(
            f"factors of {part.name or 'an adapter'} hold what is no finite number",
            code="adapter-not-finite",
            where=name,
            hint="fetch the adapter again, or leave it out: its training may have diverged",
        )
    return a, b


def rule_of(pair: Pair, additions: Additions, profile: Profile, reader: Reader) -> Rule:
    """The base plus the product, rounded as one adapter's is."""
    left, right = (pair.a.T, pair.b.T) if additions.turned else (pair.b, pair.a)
    return Adapted(
        np.ascontiguousarray(right),
        np.ascontiguousarray(left),
        None,
        np.float32(pair.scaling),
        additions.rounded,
        profile,
        max(1, rows_of(reader.shape)),
    )


def scaling_of(rank: int, additions: Additions, profile: Profile) -> float:
    """Of the new adapter: its alpha is its rank."""
    return rank / math.sqrt(rank) if additions.root and not profile.ours else 1.0


def check_size(rank: int, shape: tuple[int, ...], name: str) -> None:
    """Raises ``UsageError`` (``adapter-rank-large``) before memory is taken."""
    if rank * sum(shape) > MOST_NUMBERS:
        raise UsageError(
            f"adapters of {rank:,} ranks in all, over a matrix {list(shape)}, are not combined here",
            code="adapter-rank-large",
            where=name,
            hint="merge the adapters one after the other, as models BASE+ADAPTER",
        )


def side_by_side(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    """``cat``: the ranks of all adapters one after the other."""
    found = additions_of(parameters, reader, name)
    check_size(sum(found.ranks), reader.shape, name)
    above, beside = [], []
    for part in found.parts:
        a, b = factors_of(part, reader.shape, found.turned, name)
        above.append(a * np.float32(part.weight) * np.float32(part.scaling))
        beside.append(b)
    pair = Pair(
        _held(np.concatenate(above), profile),
        _held(np.concatenate(beside, axis=1), profile),
        scaling_of(sum(found.ranks), found, profile),
    )
    rounded = found.rounded or not profile.ours
    return rule_of(pair, replace(found, rounded=rounded), profile, reader)


def _held(factor: Values, profile: Profile) -> Values:
    """In an adapter of the base's dtype, which peft makes for ``cat`` alone."""
    return factor if profile.ours else on_grid(factor, profile.dtype)


def by_factors(mixing: Mixing, reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    """Mix A with A and B with B; raises ``UsageError`` (``adapter-ranks``) where their ranks differ."""
    found = additions_of(parameters, reader, name)
    check_size(sum(found.ranks), reader.shape, name)
    read = [factors_of(p, reader.shape, found.turned, name) for p in found.parts]
    if len({*found.ranks}) > 1 or len({a.shape[0] for a, _ in read}) > 1:
        ranks = ", ".join(str(a.shape[0]) for a, _ in read)
        raise UsageError(
            f"factors of different ranks ({ranks} here) cannot be added up",
            code="adapter-ranks",
            where=name,
            hint="adapter_cat and adapter_svd take adapters of any ranks",
        )
    mixed, words = [], 0
    for side, weights in enumerate(_weights(found.parts)):
        rows = np.stack([factors[side].reshape(-1) for factors in read])
        drawn = _drawn(mixing, parameters, profile, name, rows, side, words)
        mixed.append(_mixed(mixing, rows, weights, parameters, drawn, profile))
        words += rows.size
    (a, b), scaling = read[0], scaling_of(found.ranks[0], found, profile)
    pair = Pair(mixed[0].reshape(a.shape), mixed[1].reshape(b.shape), scaling)
    return rule_of(pair, found, profile, reader)


def _weights(parts: Sequence[Addition]) -> tuple[Values, Values]:
    """Of A and of B."""
    given = [p.weight * p.scaling for p in parts]
    sizes = [math.sqrt(abs(x)) for x in given]
    signed = [-size if x < 0 else size for size, x in zip(sizes, given, strict=True)]
    return np.array(signed, np.float32), np.array(sizes, np.float32)


def _drawn(
    mixing: Mixing, parameters: Parameters, profile: Profile, name: str, rows: Values, side: int, words: int
) -> Drawn | None:
    """A tool draws for every A of a module, then for every B."""
    if mixing.prune != "random":
        return None
    if profile.ours:
        return Drawn(CounterDraws(parameters.seed, name), side * rows.shape[0])
    return Drawn(TorchDraws(parameters.seed, parameters.drawn + words, rows.shape[1]))


def _mixed(
    mixing: Mixing,
    rows: Values,
    weights: Values,
    parameters: Parameters,
    drawn: Drawn | None,
    profile: Profile,
) -> Values:
    def blocks() -> Iterator[tuple[int, Values]]:
        for start in range(0, rows.shape[1], BLOCK):
            yield start, rows[:, start : start + BLOCK]

    def look(start: int, count: int) -> Values:
        return rows[:, start : start + count]

    stack = Stack(rows.shape[0], rows.shape[1], blocks, look)
    density = float(parameters.shared.get("density", 1.0))
    keeping = kept(mixing, stack, density, drawn, as_tool=not profile.ours)
    by_count = bool(parameters.shared.get("by_count", False))
    make = Mixed(mixing, keeping, weights, rows.shape[1], by_count)
    return np.concatenate([make(start, x) for start, x in blocks()])


def words_of_factors(reader: Reader, parameters: Parameters, profile: Profile) -> int:
    """Random words that one tensor takes from the tool's stream."""
    found = parameters.additions
    if found is None or float(parameters.shared["density"]) >= 1:
        return 0
    return len(found.parts) * found.ranks[0] * sum(reader.shape)
