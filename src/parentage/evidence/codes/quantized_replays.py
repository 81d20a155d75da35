"""Blends of models, quantised, code by code: the recipes that compete, and what each gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.threads import map_ordered
from parentage.evidence.codes.coded import Coded, Values
from parentage.evidence.codes.quantized import CodedSample, read_coded_sample
from parentage.evidence.sampling.positions import Sampling, seeded_rng
from parentage.methods.linear import Arithmetic, arithmetic
from parentage.numerics.feasible import candidates
from parentage.numerics.storage.formats import to_float32
from parentage.numerics.storage.quantizers import ROUNDINGS
from parentage.records.dtypes import DType
from parentage.records.quantized import BlendReplay, ReplayedCodes

__all__ = [
    "CANDIDATES",
    "STORED",
    "Blends",
    "Parents",
    "Recipe",
    "codes_given",
    "of_pair",
    "parts_of",
    "recipes_for",
    "replay",
    "replay_with_own_weights",
    "replayed",
]

# What a blend may have been stored in before it was quantised, with half a step: of the number, and
# least (binary16's below 6e-5).
STORED = ((DType.F32, 2.0**-24, 0.0), (DType.F16, 2.0**-11, 2.0**-25), (DType.BF16, 2.0**-8, 0.0))
# Simplest weights of each interval that are replayed; tensors on which they compete; how many of those that
# give most codes there are replayed on all.
CANDIDATES = 16
PROBE = 4
FINALISTS = 16
# Codes hardly tell roundings in float32 from each other; 16-bit weights and products they do.
WIDE, NARROW = (
    ("fp32-sum", "lerp-from-second"),
    ("fp32-sum", "fp32-fma", "mergekit-0.1.4", "scalar-16", "task-16"),
)
# "Had it been off the line": of the parents' own spread around the blend. Averages and checkpoints of a
# real training run lie .23 of it and more off the line in every matrix, blends by their rounding alone.
OFF_LINE = 0.1
Parents = tuple[int, ...]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Weights of the parents, how they are blended, what the blend is stored in, and the quantiser where a
    tensor's format leaves a choice."""

    weights: tuple[float, ...]
    arithmetic: Arithmetic
    stored: DType
    rule: str = ""

    @property
    def words(self) -> str:
        """Weights, arithmetic, dtype."""
        return f"{self.label}, {self.arithmetic.id}, {self.stored.value}"

    @property
    def label(self) -> str:
        """The weights as people write them."""
        return " : ".join(candidates.describe(w) for w in self.weights)

    def rule_for(self, coded: Coded) -> str:
        """The quantiser of one tensor."""
        return self.rule if self.rule in coded.rules else coded.rules[0]


@dataclass(frozen=True, slots=True)
class Blends:
    """Where samples come from."""

    groups: Sequence[AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    sampling: Sampling
    workers: int

    def each(self, work: Callable[[CodedSample], Result]) -> Iterator[Result]:
        """The results for all tensors, in order."""

        def read(group: AlignedTensor) -> Result:
            return work(read_coded_sample(group, self.checkpoints, self.sampling))

        return map_ordered(read, self.groups, workers=self.workers)

    def only(self, names: Sequence[str]) -> Blends:
        """These tensors alone."""
        wanted = frozenset(names)
        return replace(self, groups=[g for g in self.groups if g.name in wanted])

    @property
    def few(self) -> Blends:
        """Some tensors, spread over all."""
        return replace(self, groups=self.groups[:: max(1, len(self.groups) // PROBE)][:PROBE])


def parts_of(sample: CodedSample, parents: Parents) -> list[Values] | None:
    """The parents' numbers; None where one lacks the tensor."""
    parts = [sample.others[i - 1] for i in parents]
    known = [p for p in parts if p is not None]
    return known if len(known) == len(parts) else None


def _blended(recipe: Recipe, parts: Sequence[Values]) -> Values:
    bits = recipe.arithmetic.apply(recipe.weights, parts, out_dtype=recipe.stored)
    return to_float32(bits, recipe.stored)


def codes_given(recipe: Recipe, sample: CodedSample, parents: Parents, coded: Coded) -> int:
    """How many of the codes the blend gives."""
    parts = parts_of(sample, parents)
    if parts is None:
        return 0
    made = coded.replay(_blended(recipe, parts), recipe.rule_for(coded))
    return int(np.count_nonzero(made == coded.codes))


def recipes_for(exact: Mapping[DType, Sequence[tuple[float, ...]]]) -> list[Recipe]:
    """These weights under every arithmetic, in every format that allows them; of those as simple, with as
    little as possible between blend and quantiser."""
    found = []
    for stored, several in exact.items():
        ids = WIDE if stored is DType.F32 else NARROW
        for weights in several:
            usable = ids if len(weights) == 2 and abs(sum(weights) - 1) < 1e-9 else _of_any_sum(ids)
            found += [Recipe(weights, arithmetic(name), stored) for name in usable]
    return sorted(found, key=lambda r: sum(candidates.description_length(w) for w in r.weights[:-1]))


def _of_any_sum(ids: Sequence[str]) -> list[str]:
    """Arithmetics of more than two parents, or of weights that do not sum to one."""
    return [name for name in ids if not name.startswith(("lerp", "task"))]


def of_pair(low: float, high: float, limit: int = CANDIDATES) -> list[tuple[float, ...]]:
    """The simplest first weights in a range, each with what it leaves of one."""
    found = candidates.simplest_in(low, high, limit)
    return [(w, candidates.rest_of_one([w])) for w in found]


def replay(own: Blends, parents: Parents, recipes: Sequence[Recipe]) -> tuple[BlendReplay, Recipe]:
    """Candidates compete on a few tensors, and those that give most codes there on all."""
    rule = _best_rule(own.few, parents, recipes)
    tried = [replace(r, rule=rule) for r in recipes]
    scores = _scores(own.few, parents, tried)
    alive = [r for r, n in zip(tried, scores, strict=True) if n == max(scores)][:FINALISTS]

    def work(sample: CodedSample) -> list[ReplayedCodes]:
        return [replayed(r, sample, parents, own.sampling.seed) for r in alive]

    rows = list(zip(*own.each(work), strict=True))
    totals = [sum(t.matches for t in row) for row in rows]
    best = totals.index(max(totals))
    alike = [r for r, n in zip(alive, totals, strict=True) if n == totals[best]]
    chosen = alive[best]
    return _told(chosen, alike, rows[best]), chosen


def _told(chosen: Recipe, alike: Sequence[Recipe], rows: Sequence[ReplayedCodes]) -> BlendReplay:
    return BlendReplay(
        weights=chosen.weights,
        label=chosen.label,
        arithmetic=chosen.arithmetic.id,
        stored=chosen.stored.value,
        indistinguishable=tuple(r.words for r in alike[1:]),
        tensors=tuple(rows),
        stored_alike=tuple(sorted({r.stored.value for r in alike if r.weights == chosen.weights})),
    )


def replay_with_own_weights(
    own: Blends, parents: Parents, weights: Mapping[str, Sequence[tuple[float, ...]]], stored: DType
) -> tuple[BlendReplay, Recipe]:
    """Each tensor under the simplest of its own ``weights`` that gives most codes, all under one
    arithmetic."""
    first = next(iter(weights.values()))[0]
    ways = recipes_for({stored: [first]})

    def best(recipe: Recipe, sample: CodedSample) -> Recipe:
        several = [replace(recipe, weights=w) for w in weights[sample.name]]
        scores = [codes_given(r, sample, parents, sample.coded) for r in several]
        return several[scores.index(max(scores))]

    def score(sample: CodedSample) -> list[int]:
        rows = [replace(w, rule=rule) for rule in sample.coded.rules for w in ways]
        return [codes_given(best(r, sample), sample, parents, sample.coded) for r in rows]

    rules = next(own.few.each(lambda s: s.coded.rules))
    scores = [sum(column) for column in zip(*own.few.each(score), strict=False)]
    at = scores.index(max(scores))
    chosen = replace(ways[at % len(ways)], rule=rules[at // len(ways)])

    def work(sample: CodedSample) -> ReplayedCodes:
        recipe = best(chosen, sample)
        return replace(replayed(recipe, sample, parents, own.sampling.seed), weights=recipe.weights)

    return _told(chosen, [chosen], list(own.each(work))), chosen


def _scores(own: Blends, parents: Parents, recipes: Sequence[Recipe]) -> list[int]:
    def work(sample: CodedSample) -> list[int]:
        return [codes_given(r, sample, parents, sample.coded) for r in recipes]

    return [sum(column) for column in zip(*own.each(work), strict=True)]


def _best_rule(probe: Blends, parents: Parents, recipes: Sequence[Recipe]) -> str:
    """The quantiser under which the simplest blends give most codes: single parents may favour another."""
    few = recipes[:4]
    rules = sorted({r for names in probe.each(lambda s: s.coded.rules) for r in names}, key=_usual)
    tried = [replace(r, rule=rule) for rule in rules for r in few]
    scores = _scores(probe, parents, tried)
    return tried[scores.index(max(scores))].rule


def _usual(rule: str) -> int:
    known = list(ROUNDINGS)
    return known.index(rule) if rule in known else len(known)


def replayed(recipe: Recipe, sample: CodedSample, parents: Parents, seed: int) -> ReplayedCodes:
    """What a recipe gives of one tensor's codes, and would give were it off the parents' line."""
    coded, rule = sample.coded, recipe.rule_for(sample.coded)
    parts = parts_of(sample, parents)
    if parts is None:
        return ReplayedCodes(sample.name, int(coded.codes.size), 0, 0, 0, 0)
    values = _blended(recipe, parts)
    same: NDArray[np.bool_] = coded.replay(values, rule) == coded.codes
    alone = [coded.replay(p, rule) for p in parts]
    differ = np.logical_or.reduce([a != alone[0] for a in alone[1:]])
    moved = coded.replay(_off_line(sample.name, values, parts, recipe.weights, seed), rule)
    return ReplayedCodes(
        name=sample.name,
        codes=int(same.size),
        matches=int(np.count_nonzero(same)),
        informative=int(np.count_nonzero(differ)),
        informative_matches=int(np.count_nonzero(same & differ)),
        moved_matches=int(np.count_nonzero(moved == coded.codes)),
    )


def _off_line(
    name: str, values: Values, parts: Sequence[Values], weights: Sequence[float], seed: int
) -> Values:
    """The blend with every number moved, up or down, by a tenth of the parents' spread around it: of two
    parents the root of w (1 - w) times their distance."""
    with np.errstate(all="ignore"):
        away = [float(np.mean((p - values).astype(np.float64) ** 2)) for p in parts]
        square = float(np.abs(weights) @ np.array(away))
    size = float(np.sqrt(square)) if np.isfinite(square) else 0.0
    rng = seeded_rng(seed, "off the line", name)
    signs: NDArray[np.float32] = rng.integers(0, 2, values.size).astype(np.float32) * 2 - 1
    found: Values = values + signs * np.float32(OFF_LINE * size)
    return found
