"""Compare two checkpoints number by number, streamed: equalities, units in the last place, deltas.

Parts of at most 2**18 elements are measured apart and added up in order, so that neither the memory
depends on the size of a tensor nor any number on the count of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, align
from parentage.architectures.families.family import stem
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.threads import map_ordered
from parentage.errors import AlignmentError
from parentage.evidence.between.difference_sums import PairSums, bin_of, lower_end, measure_pair
from parentage.evidence.sampling.positions import Sampling, plan_sample
from parentage.evidence.sampling.tiles import in_tiles
from parentage.records.absence import Absent
from parentage.records.difference import (
    BaseDeltas,
    ComponentDifference,
    Difference,
    OffsetRange,
    Offsets,
    OneSided,
    TensorDifference,
    TotalDifference,
)
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["compare_checkpoints"]

# Arrays of 2 MB as float64: a dozen of them a worker stay in the tens of megabytes.
PART = 2**18
MEBIBYTE = 2**20
# Lower ends, powers of two, so that no bin of the histogram lies across one.
RANGES = (0, 1, 2, 4, 8, 16, 64, 256, 4096, 65536)
NO_BASE = Absent("no base was given")
INTEGERS = Absent("integers are compared by bits and by value alone")
ZERO = Absent("every number that it is relative to is zero")
NO_GRID = Absent("numbers of a block format lie on a grid of each block's own")
NOT_FINITE = Absent("no number is finite in all models")
OVERFLOW = Absent("the squares of the numbers exceed float64")


@dataclass(frozen=True, slots=True)
class _Part:
    """Some elements of one aligned tensor: runs of ``length`` at ``starts``."""

    index: int
    starts: NDArray[np.int64]
    length: int

    @property
    def elements(self) -> int:
        return self.starts.size * self.length


def compare_checkpoints(
    first: Checkpoint,
    second: Checkpoint,
    base: Checkpoint | None,
    *,
    sample: int | None,
    seed: int,
    workers: int,
    progress: Callable[[str, int, int], None],
) -> Difference:
    """Compare every tensor that both have; ``sample`` elements of each, or all when it is None.

    ``base``: what both come from; adds the cosine of the two deltas. Raises ``AlignmentError`` when
    the models share no tensor.
    """
    models = (first, second) if base is None else (first, second, base)
    groups = _shared(models)
    sampling = None if sample is None else in_tiles(Sampling(sample, seed), groups, models)
    parts = [part for index, group in enumerate(groups) for part in _parts(index, group, sampling)]
    sizes = [sum(r.dtype.itemsize for r in _present(g)) for g in groups]
    total = sum(p.elements * sizes[p.index] for p in parts) // MEBIBYTE
    done = 0

    def work(part: _Part) -> tuple[_Part, PairSums]:
        return part, _measure(models, groups[part.index], part)

    joint: dict[str, PairSums] = {}
    tensors = []
    found = map_ordered(work, parts, workers=workers)
    for index, measured in groupby(found, key=lambda pair: pair[0].index):
        group, sums = groups[index], PairSums()
        for part, more in measured:
            sums += more
            done += part.elements * sizes[index]
            progress("comparing (MiB)", done // MEBIBYTE, total)
        tensors.append(_tensor(group, sums, base is not None))
        # A sampled tensor weighs in a component as much as all of it would.
        share = sums.weighted(group.suspect.elements / max(sums.examined, 1))
        joint[group.role.component] = joint.get(group.role.component, PairSums()) + share
    return Difference(
        first=first.locator,
        second=second.locator,
        base=NO_BASE if base is None else base.locator,
        sample=Absent("every element was read") if sample is None else sample,
        seed=seed,
        total=_total(tensors, joint, base is not None),
        components=tuple(
            _component(name, [t for t in tensors if t.component == name], joint[name], base is not None)
            for name in sorted(joint)
        ),
        tensors=tuple(tensors),
        one_sided=_one_sided(first, second, groups),
    )


def _shared(models: Sequence[Checkpoint]) -> tuple[AlignedTensor, ...]:
    groups = align(models[0], models[1:]).groups
    shared = tuple(g for g in groups if isinstance(g.others[0], TensorRef))
    if not shared:
        raise AlignmentError(
            "no tensor of the first model meets one of the second by name and shape",
            where=models[0].locator,
            hint="are these models of one architecture?",
        )
    return shared


def _present(group: AlignedTensor) -> list[TensorRef]:
    return [group.suspect, *(r for r in group.others if isinstance(r, TensorRef))]


def _parts(index: int, group: AlignedTensor, sampling: Sampling | None) -> Iterator[_Part]:
    elements = group.suspect.elements
    sampling = sampling or Sampling(elements, 0)
    plan = plan_sample(group.name, group.role, group.suspect.shape, sampling)
    if not plan.whole:
        runs = max(1, PART // plan.length)
        for begin in range(0, plan.starts.size, runs):
            yield _Part(index, plan.starts[begin : begin + runs], plan.length)
        return
    for start in range(0, max(elements, 1), PART):
        yield _Part(index, np.array([start], np.int64), min(PART, elements - start))


def _measure(models: Sequence[Checkpoint], group: AlignedTensor, part: _Part) -> PairSums:
    refs = [r if isinstance(r, TensorRef) else None for r in (group.suspect, *group.others)]
    bits = [
        None if r is None else m.read_blocks(r, part.starts, part.length).reshape(-1)
        for m, r in zip(models, refs, strict=True)
    ]
    return measure_pair(bits, [None if r is None else r.dtype for r in refs])


def _tensor(group: AlignedTensor, sums: PairSums, based: bool) -> TensorDifference:
    ref, other = group.suspect, group.others[0]
    assert isinstance(other, TensorRef)
    is_float, same_dtype = ref.dtype.is_float, ref.stored_as == other.stored_as
    differ = Absent(f"the dtypes differ: {ref.stored_as} and {other.stored_as}")
    return TensorDifference(
        name=ref.name,
        second_name=other.name,
        role=group.role.role,
        component=group.role.component,
        layer=Absent("not in a layer") if group.role.layer is None else group.role.layer,
        shape=tuple(ref.shape),
        first_dtype=ref.stored_as,
        second_dtype=other.stored_as,
        elements=ref.elements,
        examined=sums.examined,
        whole=sums.examined == ref.elements,
        equal_bits=sums.equal_bits if same_dtype else differ,
        equal_values=sums.equal_values,
        first_not_finite=sums.first_not_finite,
        second_not_finite=sums.second_not_finite,
        offsets=_offsets_of(ref, sums) if same_dtype else differ,
        relative_delta=_relative(sums) if is_float else INTEGERS,
        spread_delta=_spread(sums) if is_float else INTEGERS,
        base=_base(sums, group, is_float) if based else NO_BASE,
    )


def _offsets_of(ref: TensorRef, sums: PairSums) -> Offsets | Absent:
    if not ref.dtype.is_float:
        return INTEGERS
    return NO_GRID if ref.encoding else _offsets(sums, ref.dtype)


def _offsets(sums: PairSums, dtype: DType) -> Offsets | Absent:
    if sums.finite == 0:
        return NOT_FINITE
    # A float32 that ends in sixteen zero bits is a bf16 number, and 2**16 float32 steps are one of bf16.
    # Zeros fit anywhere and say nothing.
    telling = sums.first_square > 0 or sums.delta_square > 0
    narrow = dtype is DType.F32 and sums.fraction == 0 and telling
    shift = 16 if narrow else 0
    reached = np.cumsum(sums.steps)

    def quantile(share: float) -> int:
        return lower_end(int(np.searchsorted(reached, share * sums.finite, side="left"))) >> shift

    return Offsets(
        grid=(DType.BF16 if narrow else dtype).value,
        elements=sums.finite,
        median=quantile(0.5),
        percentile_95=quantile(0.95),
        largest=sums.largest >> shift,
        ranges=tuple(_ranges(reached, shift)),
    )


def _ranges(reached: NDArray[np.int64], shift: int) -> Iterator[OffsetRange]:
    ends = [int(bin_of(np.array([low << shift], np.uint64))[0]) for low in RANGES]
    before = [int(reached[min(end, reached.size) - 1]) if end else 0 for end in ends]
    after = [*before[1:], int(reached[-1])]
    highs: list[int | Absent] = [low - 1 for low in RANGES[1:]]
    highs.append(Absent("no upper end"))
    for low, high, start, end in zip(RANGES, highs, before, after, strict=True):
        if end > start:
            yield OffsetRange(low, high, end - start)


def _relative(sums: PairSums) -> float | Absent:
    if sums.finite == 0:
        return NOT_FINITE
    return _ratio(sums.delta_square, sums.first_square)


def _spread(sums: PairSums) -> float | Absent:
    if sums.finite == 0:
        return NOT_FINITE
    # The mean of equal numbers may be off in its last bit.
    if sums.moment <= 1e-30 * sums.first_square:
        return Absent("the first model's numbers are all equal: they have no spread")
    return _ratio(sums.delta_square, sums.moment)


def _ratio(square: float, of: float) -> float | Absent:
    if not (isfinite(square) and isfinite(of)):
        return OVERFLOW
    return sqrt(square) / sqrt(of) if of > 0 else ZERO


def _base(sums: PairSums, group: AlignedTensor, is_float: bool) -> BaseDeltas | Absent:
    other = group.others[1]
    if isinstance(other, Absent):
        return Absent("the base: " + other.reason.replace("the suspect's", "the first model's"))
    return _base_deltas(sums) if is_float else INTEGERS


def _base_deltas(sums: PairSums) -> BaseDeltas | Absent:
    if sums.based == 0:
        return NOT_FINITE
    return BaseDeltas(
        sums.based,
        _ratio(sums.first_delta, sums.base_square),
        _ratio(sums.second_delta, sums.base_square),
        _cosine(sums),
    )


def _cosine(sums: PairSums) -> float | Absent:
    for side, square in (("first", sums.first_delta), ("second", sums.second_delta)):
        if square == 0:
            return Absent(f"the {side} model equals the base")
    size = sqrt(sums.first_delta) * sqrt(sums.second_delta)
    if not (isfinite(size) and isfinite(sums.product)):
        return OVERFLOW
    return min(1.0, max(-1.0, sums.product / size)) if size > 0 else ZERO


def _component(
    name: str, tensors: Sequence[TensorDifference], sums: PairSums, based: bool
) -> ComponentDifference:
    return ComponentDifference(
        component=name,
        tensors=len(tensors),
        elements=sum(t.elements for t in tensors),
        examined=sums.examined,
        equal_values=sums.equal_values,
        relative_delta=_relative(sums),
        base=_base_deltas(sums) if based else NO_BASE,
    )


def _total(
    tensors: Sequence[TensorDifference], joint: Mapping[str, PairSums], based: bool
) -> TotalDifference:
    sums = sum((joint[name] for name in sorted(joint)), PairSums())
    return TotalDifference(
        tensors=len(tensors),
        elements=sum(t.elements for t in tensors),
        examined=sums.examined,
        same_bits=sum(t.equal_bits == t.examined for t in tensors),
        same_values=sum(t.equal_values == t.examined for t in tensors),
        dtypes_differ=sum(t.first_dtype != t.second_dtype for t in tensors),
        equal_values=sums.equal_values,
        relative_delta=_relative(sums),
        base=_base_deltas(sums) if based else NO_BASE,
    )


def _one_sided(
    first: Checkpoint, second: Checkpoint, groups: Sequence[AlignedTensor]
) -> tuple[OneSided, ...]:
    met = {g.name for g in groups}
    others = (r for g in groups if isinstance(r := g.others[0], TensorRef))
    other = {name for ref in others for name in ref.stored_names}
    return (
        *_alone("first", first, met, second, other),
        *_alone("second", second, other, first, met),
    )


def _alone(
    model: str, own: Checkpoint, met: set[str], other: Checkpoint, taken: set[str]
) -> Iterator[OneSided]:
    there = {stem(name): ref for name, ref in other.tensors.items()}
    for name, ref in own.tensors.items():
        if name not in met:
            found = other.tensors.get(name) or there.get(stem(name))
            reason = _reason(ref, found, taken)
            yield OneSided(model, name, tuple(ref.shape), ref.stored_as, reason)


def _reason(ref: TensorRef, found: TensorRef | None, taken: set[str]) -> str:
    if found is None:
        return "the other model has no such tensor"
    if found.shape != ref.shape:
        return f"its shape is {list(ref.shape)}, the other model's {list(found.shape)}"
    if found.dtype.is_float != ref.dtype.is_float:
        return f"its dtype is {ref.dtype.value}, the other model's {found.dtype.value}"
    if found.name in taken:
        return "the other model's tensor of this name is compared with another one"
    return "several tensors share this name but for a prefix"
