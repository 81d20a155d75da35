"""Weights of K parents on planted merges: ranges of pure ones, coverage and accuracy of changed ones.

Each world is 32 rows of 256 elements: a base of standard deviation .02, K fine-tunes whose deltas
(.1 to 3 % of the weights) are partly low-rank, a float32 merge stored in bf16, and a change of one
kind on top. The weights are a recipe's or drawn at random; their sum is 1 or free.

    python benchmarks/weight_sets.py pure --parents 3
    python benchmarks/weight_sets.py changed --parents 3 --worlds 40 --kinds dense rows sparse-10
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.methods.linear import arithmetic
from parentage.numerics.deciding.merge_test_many import ManyComparison, compare_many
from parentage.numerics.feasible import programme
from parentage.numerics.likelihoods.likelihood import make_cells
from parentage.numerics.likelihoods.profile import profile_at
from parentage.numerics.likelihoods.tails import FAMILIES
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import ordinal, quantize, round_to, to_float64
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]

ROWS, WIDTH, SD = 32, 256, 0.02
KINDS = ("dense", "t3", "rows", "low-rank", "sparse-1", "sparse-10", "sparse-48")
RECIPES = {3: (0.5, 0.3, 0.2), 8: (0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05)}


@dataclass(frozen=True)
class World:
    """Parents float64 ``[K, n]``, suspect and its cells ``[n]``, the truth."""

    parents: Floats
    c: Floats
    low: Floats
    high: Floats
    weights: Floats
    sigma: float


def stored(values: NDArray[np.floating]) -> Floats:
    """The values after storage in bf16."""
    return quantize(np.asarray(values, dtype=np.float64), DType.BF16)


def delta(rng: np.random.Generator, relative: float) -> Floats:
    """A fine-tune's change: part dense, part of rank 8, ``relative`` of the weights' norm."""
    share = rng.uniform(0.0, 0.7)
    dense = rng.normal(size=(ROWS, WIDTH))
    low_rank = rng.normal(size=(ROWS, 8)) @ rng.normal(size=(8, WIDTH)) / np.sqrt(8.0)
    return (np.sqrt(1.0 - share) * dense + np.sqrt(share) * low_rank) * (relative * SD)


def change(rng: np.random.Generator, merge: Floats, kind: str, sigma: float) -> Floats:
    """The merge after its change: whole grid steps for ``sparse-*``, else an added variate."""
    if kind == "none":
        return merge
    if kind.startswith("sparse"):
        moved = rng.random(merge.shape) < float(kind.removeprefix("sparse-")) / 100.0
        steps = rng.integers(1, 4, size=merge.shape) * rng.choice([-1, 1], size=merge.shape)
        bits = round_to(merge, DType.BF16)
        room = np.abs(ordinal(bits, DType.BF16)) > 4
        return to_float64(np.where(moved & room, bits + steps, bits).astype(np.uint16), DType.BF16)
    added = rng.normal(size=merge.shape)
    if kind == "t3":
        added = rng.standard_t(3, size=merge.shape)
    elif kind == "rows":
        added *= rng.lognormal(0.0, 0.7, size=(ROWS, 1))
    elif kind == "low-rank":
        added = rng.normal(size=(ROWS, 4)) @ rng.normal(size=(4, WIDTH)) / 2.0
    return stored(merge + added * (sigma * SD))


def plant(
    seed: tuple[int, ...], count: int, kind: str, *, recipe: bool, free_sum: bool, sigma: float | None
) -> World:
    """One merge of ``count`` parents with a later change of ``kind`` (``none``: pure)."""
    rng = np.random.default_rng(seed)
    weights = np.array(RECIPES[count]) if recipe else rng.dirichlet(np.full(count, 2.0))
    if free_sum:
        weights = weights * rng.uniform(0.8, 1.2)
    base = stored(rng.normal(0.0, SD, size=(ROWS, WIDTH)))
    relative = 10.0 ** rng.uniform(-3.0, np.log10(0.03), size=count)
    parents = np.stack([stored(base + delta(rng, r)) for r in relative])
    flat = parents.reshape(count, -1)
    operands = [p.astype(np.float32) for p in flat]
    bits = arithmetic("fp32-sum").apply(list(weights), operands, out_dtype=DType.BF16)
    merge = to_float64(bits, DType.BF16).reshape(ROWS, WIDTH)
    size = float(10.0 ** rng.uniform(-4.0, -2.0)) if sigma is None else sigma
    c = change(rng, merge, kind, size).ravel()
    cells = rounding_cells(round_to(c, DType.BF16), DType.BF16)
    return World(flat, c, cells.low, cells.high, weights, size)


def falls_short(found: ManyComparison, w: World) -> bool:
    """Did the search miss a likelier weight: the truth itself?"""
    cells = make_cells(w.parents, w.c, w.low, w.high, DType.BF16, True)
    place = np.array(found.weights[:-1]) + found.drift[: len(found.weights) - 1]
    centre = place if found.sum_to_one else np.append(place, sum(found.weights) + found.drift[-1])
    moving = cells.drifting(centre, sum_to_one=found.sum_to_one)
    at_truth = max(float(profile_at(moving, w.weights[None, :], f)[0][0]) for f in FAMILIES)
    return at_truth > found.log_likelihood + 1.0


def passes(found: ManyComparison) -> bool:
    """The decision's rule on one tensor: on the grid, every parent needed, the change unaligned."""
    aligned = [abs(c) for c in found.correlations if c is not None]
    return (
        found.delta_ll >= 10
        and len(found.drops) > 0
        and min(found.drops) >= 10
        and max(aligned, default=0.0) <= 0.1
    )


def seed_word(kind: str) -> int:
    """A seed word that does not depend on the interpreter's hash seed."""
    return int.from_bytes(kind.encode()[:8], "little") % (2**31)


def pure(asked: argparse.Namespace) -> None:
    """Error, width and time of the programme's ranges on pure merges."""
    missed = infeasible = 0
    errors, widths, seconds = [], [], []
    for k in range(asked.worlds):
        w = plant((asked.seed, k), asked.parents, "none", recipe=asked.recipe,
                  free_sum=asked.free_sum, sigma=0.0)  # fmt: skip
        start = time.process_time()
        equal = np.full(asked.parents, 1.0 / asked.parents)
        found = programme.feasible_weights(w.parents, w.low, w.high, equal)
        seconds.append(time.process_time() - start)
        infeasible += not found.feasible
        inside = (found.low <= w.weights) & (w.weights <= found.high)
        missed += int(np.count_nonzero(~inside))
        errors.append(np.abs(found.estimate - w.weights).max())
        widths.append((found.high - found.low).max())
    print("parents  worlds  infeasible  weights outside  largest error  median width  largest  CPU s each")
    print(
        f"{asked.parents:<8} {asked.worlds:<7} {infeasible:<11} {missed:<16} {max(errors):<14.2e}"
        f" {np.median(widths):<13.2e} {max(widths):<8.1e} {np.mean(seconds):.3f}"
    )


def changed(asked: argparse.Namespace) -> None:
    """Coverage, error and time of the replay likelihood on merges with a later change."""
    rows = np.repeat(np.arange(ROWS, dtype=np.int32), WIDTH)
    print("kind       passed  short  covered   of  largest error  90 %     median width  CPU s each")
    for kind in asked.kinds:
        covered = total = passed = short = 0
        errors, widths, seconds = [], [], []
        for k in range(asked.worlds):
            w = plant((asked.seed, k, seed_word(kind)), asked.parents, kind, recipe=asked.recipe,
                      free_sum=asked.free_sum, sigma=asked.sigma)  # fmt: skip
            start = time.process_time()
            found = compare_many(w.parents, w.c, w.low, w.high, dtype=DType.BF16, rows=rows)
            seconds.append(time.process_time() - start)
            short += falls_short(found, w)
            if not passes(found):
                continue
            passed += 1
            for truth, each in zip(w.weights, found.intervals, strict=True):
                inside = each.low <= truth <= each.high
                covered += inside
                total += 1
                errors.append(abs(each.estimate - truth))
                widths.append(each.high - each.low)
                if asked.misses and not inside:
                    print(
                        f"  #{k} {truth:.6f} [{each.low:.6f} {each.estimate:.6f} {each.high:.6f}]"
                        f" sigma {w.sigma:.1e}"
                    )
        errors, widths = errors or [0.0], widths or [0.0]
        share = covered / max(total, 1)
        print(
            f"{kind:<10} {passed / asked.worlds:<7.2f} {short:<6} {share:<8.3f} {total:>4}"
            f"  {max(errors):<14.2e} {np.quantile(errors, 0.9):<8.1e} {np.median(widths):<13.2e}"
            f" {np.mean(seconds):.2f}",
            flush=True,
        )


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=["pure", "changed"])
    parser.add_argument("--parents", type=int, default=3)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", action="store_true", help="a recipe's weights, not random ones")
    parser.add_argument("--free-sum", action="store_true", help="weights times .8 to 1.2")
    parser.add_argument("--sigma", type=float, help="size of the change; else 1e-4 to 1e-2")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--misses", action="store_true", help="print each interval that misses")
    asked = parser.parse_args()
    (pure if asked.study == "pure" else changed)(asked)


if __name__ == "__main__":
    main()
