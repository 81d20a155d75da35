"""What a change left in stored weights: how many differ, how far, of what rank, and where.

Both folders hold safetensors of the same tensors. Nothing here judges; :mod:`parentage` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import to_float32

__all__ = ["Change", "compare"]


@dataclass(frozen=True, slots=True)
class Change:
    """``share``: of stored numbers that differ; ``by_component`` the same of each kind of tensor.

    ``sigma``: root mean square of the difference over the weights' standard deviation, median of
    matrices. ``stable_rank``: squared Frobenius norm of the difference over its squared largest singular
    value, median of the matrices that differ; ``full_rank``: their median smaller side. ``untouched``:
    matrices without any difference.
    """

    elements: int
    share: float
    by_component: dict[str, float]
    sigma: float
    stable_rank: float | None
    full_rank: float | None
    untouched: int
    matrices: int


@dataclass(slots=True)
class _Tally:
    changed: int = 0
    elements: int = 0


def compare(before: Path, after: Path) -> Change:
    """Every tensor of ``before`` against its namesake in ``after``."""
    tallies: dict[str, _Tally] = {}
    sigmas: list[float] = []
    ranks: list[tuple[float, int]] = []
    matrices = 0
    with open_checkpoint(str(before)) as one, open_checkpoint(str(after)) as other:
        for name, ref in one.tensors.items():
            old = one.read(ref, 0, ref.elements)
            new = other.read(other.tensors[name], 0, ref.elements)
            tally = tallies.setdefault(_component(name), _Tally())
            tally.changed += int(np.count_nonzero(old != new))
            tally.elements += ref.elements
            if len(ref.shape) == 2:
                matrices += 1
                weights = to_float32(old, ref.dtype)
                delta = (to_float32(new, ref.dtype) - weights).reshape(ref.shape)
                sigmas.append(
                    float(np.sqrt(np.mean(delta * delta, dtype=np.float64)) / weights.std(dtype=np.float64))
                )
                ranks += _rank(delta)
    changed, total = sum(t.changed for t in tallies.values()), sum(t.elements for t in tallies.values())
    return Change(
        elements=total,
        share=changed / total,
        by_component={k: t.changed / t.elements for k, t in sorted(tallies.items())},
        sigma=median(sigmas),
        stable_rank=median(r for r, _ in ranks) if ranks else None,
        full_rank=median(n for _, n in ranks) if ranks else None,
        untouched=matrices - len(ranks),
        matrices=matrices,
    )


def _component(name: str) -> str:
    """Attention, feed-forward, embedding or norm."""
    for word, told in (("attn", "attention"), ("mlp", "feed-forward"), ("norm", "norms")):
        if word in name and not (word != "norm" and "norm" in name):
            return told
    return "embedding"


def _rank(delta: NDArray[np.float32]) -> list[tuple[float, int]]:
    """Stable rank and full rank; nothing where nothing differs."""
    wide = delta.astype(np.float64)
    # The smaller Gram matrix has the squared singular values.
    gram = wide.T @ wide if wide.shape[1] < wide.shape[0] else wide @ wide.T
    largest = float(np.linalg.eigvalsh(gram)[-1])
    return [(float(np.trace(gram)) / largest, gram.shape[0])] if largest > 0 else []
