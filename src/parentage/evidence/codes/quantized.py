"""Codes of the suspect replayed from every other model: who else's numbers would have been coded so?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.threads import map_ordered
from parentage.evidence.codes.coded import Coded, Values, aligned_plan, can_replay, read_coded
from parentage.evidence.codes.scale_rules import replay_scales
from parentage.evidence.sampling.positions import SamplePlan, Sampling, plan_sample, seeded_rng
from parentage.numerics.storage.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.quantized import CodedTensor
from parentage.records.tensors import TensorRef

__all__ = ["CodedSample", "coded_groups", "measure_codes", "read_coded_sample", "unknown_formats"]

# "Had the parent been another by a thousandth of a standard deviation": Q8_0 has some sixty steps in one,
# so that such a model differs in 5 % of codes; in four bits it does in .3 %.
MOVED = 1e-3


@dataclass(frozen=True, slots=True)
class CodedSample:
    """The suspect's codes, and the other models' numbers at the same places (None where absent)."""

    name: str
    stored_as: str
    coded: Coded
    others: tuple[Values | None, ...]


def coded_groups(groups: Sequence[AlignedTensor]) -> list[AlignedTensor]:
    """Tensors of codes of which a quantiser is known, in order."""
    return [g for g in groups if g.suspect.elements and can_replay(g.suspect)]


def unknown_formats(groups: Sequence[AlignedTensor]) -> tuple[str, ...]:
    """Formats of codes without a known quantiser, each with the number of tensors."""
    refs = [g.suspect for g in groups if g.suspect.elements]
    found = Counter(r.encoding for r in refs if r.encoding and not can_replay(r))
    return tuple(f"{name} ({count:,})" for name, count in sorted(found.items()))


def read_coded_sample(
    group: AlignedTensor, checkpoints: Sequence[Checkpoint], sampling: Sampling
) -> CodedSample:
    """The planned sample, moved to whole blocks."""
    plan = plan_sample(group.name, group.role, group.suspect.shape, sampling)
    plan = aligned_plan(group.suspect, plan)
    coded = read_coded(checkpoints[0], group.suspect, plan)
    others = tuple(
        _values(c, ref, plan) if isinstance(ref, TensorRef) else None
        for c, ref in zip(checkpoints[1:], group.others, strict=True)
    )
    return CodedSample(group.name, group.suspect.encoding, coded, others)


def _values(checkpoint: Checkpoint, ref: TensorRef, plan: SamplePlan) -> Values:
    if plan.whole:
        bits = checkpoint.read(ref, 0, plan.elements)
    else:
        bits = checkpoint.read_blocks(ref, plan.starts, plan.length).reshape(-1)
    # Quantisers take float32; wider numbers are cast to it first, as tools do.
    return to_float64(bits, ref.dtype).astype(np.float32)


def measure_codes(
    groups: Sequence[AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    sampling: Sampling,
    workers: int,
    progress: Callable[[str, int, int], None],
) -> tuple[CodedTensor, ...]:
    """Every tensor of codes that can be replayed; pure given its arguments, whatever the threads."""
    groups = coded_groups(groups)

    def work(group: AlignedTensor) -> CodedTensor:
        sample = read_coded_sample(group, checkpoints, sampling)
        return _measure(sample, group, checkpoints, sampling.seed)

    found = []
    for item in map_ordered(work, groups, workers=workers):
        found.append(item)
        progress("replaying quantisers", len(found), len(groups))
    return tuple(found)


def _measure(
    sample: CodedSample, group: AlignedTensor, checkpoints: Sequence[Checkpoint], seed: int
) -> CodedTensor:
    coded = sample.coded
    counts = {rule: _counts(sample, rule) for rule in coded.rules}
    rule = max(coded.rules, key=lambda r: (max(counts[r], default=0), -coded.rules.index(r)))
    matches = counts[rule]
    best = int(np.argmax(matches)) if matches else 0
    values = sample.others[best] if sample.others else None
    cells = coded.cells()
    numbers = (cells.low + cells.high)[cells.inner] / 2
    spread = float(np.std(numbers)) if numbers.size else 0.0
    moved = None if values is None else _moved(sample.name, values, spread * MOVED, seed)
    scales, by_model, scale_rule = _scales(sample, group, checkpoints, seed, best)
    return CodedTensor(
        name=sample.name,
        stored_as=sample.stored_as,
        quantizer=rule,
        codes=int(coded.codes.size),
        present=tuple(k + 1 for k, v in enumerate(sample.others) if v is not None),
        matches=matches,
        scales=scales,
        scale_matches=by_model,
        scale_rule=scale_rule,
        moved=MOVED,
        moved_matches=0
        if moved is None
        else int(np.count_nonzero(coded.replay(moved, rule) == coded.codes)),
        step=float(np.mean(cells.step[cells.inner])) / spread if spread > 0 else 0.0,
        moved_scale_matches=_moved_scales(coded, moved),
    )


def _counts(sample: CodedSample, rule: str) -> tuple[int, ...]:
    return tuple(
        0 if v is None else int(np.count_nonzero(sample.coded.replay(v, rule) == sample.coded.codes))
        for v in sample.others
    )


def _moved(name: str, values: Values, size: float, seed: int) -> Values:
    """Every number moved by ``size``, up or down."""
    rng = seeded_rng(seed, "moved", name)
    signs: NDArray[np.float32] = rng.integers(0, 2, values.size).astype(np.float32) * 2 - 1
    found: Values = values + signs * np.float32(size)
    return found


def _moved_scales(coded: Coded, moved: Values | None) -> int | Absent:
    matches, total = (0, 0) if moved is None else coded.scale_matches(moved)
    return matches if total else Absent("scales do not go with the codes")


def _scales(
    sample: CodedSample, group: AlignedTensor, checkpoints: Sequence[Checkpoint], seed: int, best: int
) -> tuple[int, tuple[int, ...], str]:
    """Scales compared, matches by model, and the rule in words."""
    own = [(0, 0) if v is None else sample.coded.scale_matches(v) for v in sample.others]
    total = max((n for _, n in own), default=0)
    if total:
        return total, tuple(k for k, _ in own), sample.coded.rules[0]
    if any(c.remote for c in checkpoints) or not sample.others:
        return 0, tuple(0 for _ in own), "not asked: whole blocks were not read"
    found = replay_scales(group, checkpoints, seed, best)
    if isinstance(found, Absent):
        return 0, tuple(0 for _ in own), f"not asked: {found.reason}"
    return found.scales, found.matches, found.rule
