"""What fits a rank in the rounding cells: planted adapters, with scaled rows and without, and what is none.

    python benchmarks/adapter_rank.py --draws 100 --seed 3

Matrices of 96 to 256 rows in bfloat16, some with rows of their own size. Each draw plants one change of
every kind and asks for the least rank that fits, first of a product alone, then beside scaled rows, as an
audit does. A line a kind: how many fit none, and for adapters how many have the right rank; the way that
numbers which moved to another binade tell (1: the suspect was rounded last, -1: the other, 0: not told).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.low_rank import fit_of
from parentage.numerics.matrices.low_rank_cells import bounds_of, smallest_rank
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from parentage.verdicts.methods.low_rank import way_of_cells

Matrix = NDArray[np.float64]
MOST = 64


def rounded(x: Matrix) -> Matrix:
    """On bfloat16's grid."""
    return to_float64(round_to(np.ascontiguousarray(x).reshape(-1), DType.BF16), DType.BF16).reshape(
        x.shape
    )


def ends(x: Matrix) -> tuple[Matrix, Matrix]:
    """Where the numbers' rounding cells begin and end."""
    cells = rounding_cells(round_to(x.reshape(-1), DType.BF16), DType.BF16)
    return cells.low.reshape(x.shape), cells.high.reshape(x.shape)


def told(before: Matrix, after: Matrix, rank: int, guess: int) -> str:
    """What an audit would find of one matrix; ``rank``: the planted one."""
    plain = bounds_of(before, after, ends(after), ends(before))
    for kind, bounds in (("product", plain), ("product beside scaled rows", replace(plain, before=before))):
        found = smallest_rank(bounds, MOST, guess)
        if found is not None:
            right = "right" if found[0].rank == rank else f"rank {found[0].rank}"
            return f"{kind}, {right}, way {way_of_cells([fit_of(*found, bounds)])}"
    return "none"


@dataclass(frozen=True)
class Plants:
    """Changes of a matrix ``w``, all from one generator."""

    rng: np.random.Generator

    def base(self) -> Matrix:
        shape = int(self.rng.choice([96, 160, 256])), int(self.rng.choice([96, 128, 256]))
        sizes = np.exp(self.rng.normal(0, self.rng.choice([0, 0.5]), (shape[0], 1)))
        return rounded(self.rng.normal(0, 0.03, shape) * sizes)

    def size(self) -> float:
        return float(10 ** self.rng.uniform(-2.7, -1))

    def product(self, w: Matrix, rank: int, size: float) -> Matrix:
        left, right = self.rng.normal(0, 1, (w.shape[0], rank)), self.rng.normal(0, 1, (rank, w.shape[1]))
        made = left @ right
        return np.asarray(made * (size * w.std() / made.std()))

    def full(self, w: Matrix, size: float) -> Matrix:
        """Of full rank; singular values fall as a power of their number, in three of seven the 2 or 2.5."""
        u, s, v = np.linalg.svd(self.rng.normal(size=w.shape), full_matrices=False)
        fall = self.rng.choice([0, 0.5, 1, 1.5, 2, 2, 2.5])
        made = (u * np.arange(1.0, s.size + 1) ** -fall) @ v
        return np.asarray(made * (size * w.std() / made.std()))

    def scales(self, w: Matrix, spread: float) -> Matrix:
        return 1 + self.rng.normal(0, spread, (w.shape[0], 1))

    def spread(self) -> float:
        return float(10 ** self.rng.uniform(-3.5, -1.5))

    def none(self) -> dict[str, Callable[[Matrix], Matrix]]:
        """What is no adapter, by kind."""
        rng = self.rng
        return {
            "full": lambda w: w + self.full(w, self.size()),
            "full, rows scaled": lambda w: self.scales(w, self.spread()) * (w + self.full(w, self.size())),
            "rows scaled": lambda w: self.scales(w, self.spread()) * w,
            "decay": lambda w: w * (1 - 10 ** rng.uniform(-4, -1.5)),
            "columns scaled": lambda w: w * (1 + rng.normal(0, 10 ** rng.uniform(-3, -1.5), w.shape[1])),
            "sparse": lambda w: w + (rng.random(w.shape) < 0.05) * rng.normal(0, w.std() * 0.02, w.shape),
            "blend": lambda w: 0.6 * w + 0.4 * rounded(w + self.full(w, self.size())),
            "adapter, trained on": lambda w: self.adapter(w) + self.full(w, 10 ** rng.uniform(-3, -1.5)),
            "noise": lambda w: w + rng.normal(0, w.std() * self.size(), w.shape),
        }

    def adapter(self, w: Matrix) -> Matrix:
        changed = w + self.product(w, int(self.rng.integers(1, 6)), self.size())
        return rounded(self.scales(w, 3e-3) * changed)


def main() -> None:
    """Draw, ask, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--seed", type=int, default=3)
    asked = parser.parse_args()
    plants = Plants(np.random.default_rng(asked.seed))
    counts: dict[str, Counter[str]] = {}
    for _ in range(asked.draws):
        w, guess = plants.base(), int(plants.rng.integers(1, 9))
        rank, size = int(plants.rng.integers(1, 7)), plants.size()
        lora = rounded(w + plants.product(w, rank, size))
        one, other = (
            rounded(plants.scales(w, 3e-3) * (w + plants.product(w, rank, size))) for _ in range(2)
        )
        pairs = {
            "LoRA": (w, lora),
            "DoRA": (w, one),
            "DoRA, backwards": (one, w),
            "two DoRAs over one base": (other, one),
        }
        pairs |= {kind: (w, rounded(change(w))) for kind, change in plants.none().items()}
        for kind, (before, after) in pairs.items():
            counts.setdefault(kind, Counter())[told(before, after, rank, guess)] += 1
    for kind, found in counts.items():
        print(f"{kind}: " + "; ".join(f"{n} {what}" for what, n in found.most_common()))


if __name__ == "__main__":
    main()
