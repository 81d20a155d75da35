"""Planted merges: pure ones, and ones that were changed after they had been stored in 16 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parentage.records.dtypes import DType
from tests.calibration.coded import apart, quantised
from tests.calibration.drawing import Rng, generator
from tests.calibration.wide import WIDE_CHANGES, changed_in_32
from tests.worlds.planted import Model, Truth, Weights, World, each_tensor, stored, values_of
from tests.worlds.planted_bases import family_pieces, run_pieces, synthetic_base
from tests.worlds.planted_changes import CHANGES, change_and_size, fine_tune, off_share
from tests.worlds.planted_merges import ARITHMETICS, merged

__all__ = ["ALPHAS", "LARGE_KINDS", "MERGE_KINDS", "merge_world"]

ALPHAS = (0.05, 0.25, 0.5, 0.75, 0.95, None)
REAL_STEPS = ("merge-trained-30", "merge-trained-80", "merge-trained-alike-lightly")
# The same changes in three matrices of some 24,000 elements: what small worlds cannot show.
LARGE_KINDS = tuple(f"large-{change}" for change in CHANGES)
MERGE_KINDS = (
    "pure",
    "pure-large",
    "pure-three",
    *CHANGES,
    "real-steps",
    "three-changed",
    "wide-parents",
    "wide-suspect",
    "quantised",
    *LARGE_KINDS,
)
# Kinds of later change that three parents' merges, and those of float32 parents, are given.
THREE_CHANGES = tuple(c for c in CHANGES if c != "one-layer")


def merge_world(kind: str, seed: int) -> World:
    """The merge of this kind and seed; odd seeds blend real weights."""
    rng = generator(f"merge {kind}", seed)
    real = seed % 2 == 1
    if kind == "quantised":
        return _quantised(rng, seed)
    if kind == "pure-three":
        return _three(rng, seed, real)
    if kind == "three-changed":
        return _three_changed(rng, seed, real)
    if kind == "real-steps":
        return _real_steps(rng, seed)
    choice = ALPHAS[int(rng.integers(len(ALPHAS)))]
    alpha = float(rng.uniform(0.02, 0.98)) if choice is None else choice
    names, models = _parents(rng, real, large="large" in kind)
    dtype = DType.BF16 if rng.random() < 0.75 else DType.F16
    if kind.startswith("pure") and rng.random() < 0.1:
        dtype = DType.F32
    wide = kind == "wide-parents"
    kept = {n: stored(w, DType.F32 if wide else dtype) for n, w in models.items()}
    first, second, control = (kept[n] for n in names)
    arithmetic = str(rng.choice(list(ARITHMETICS)))
    merge = merged((alpha, 1 - alpha), (first, second), dtype, arithmetic)
    suspect, sigma, change = merge, None, ""
    if not kind.startswith("pure"):
        sigma = float(np.exp(rng.uniform(np.log(1e-4), np.log(1e-2))))
        suspect, sigma, change = _changed(rng, kind, merge, sigma)
    truth = Truth(
        f"merge:{kind}",
        f"{'real' if real else 'drawn'} {dtype} {arithmetic} α {alpha:.4g}",
        seed,
        real,
        weights={"first": alpha, "second": 1 - alpha},
        change=change,
        sigma=sigma,
        changed=off_share(merge, suspect, first, second) if change else None,
        notes={"arithmetic": arithmetic, "dtype": str(dtype)},
    )
    return _audit_of(rng, suspect, first, second, control, truth)


def _changed(rng: Rng, kind: str, merge: Model, sigma: float) -> tuple[Model, float | None, str]:
    """The merge after the change that its kind has, the size of it, and which it was."""
    if kind == "wide-suspect":
        change = WIDE_CHANGES[int(rng.integers(len(WIDE_CHANGES)))]
        return *changed_in_32(rng, merge, change, sigma), change
    change = str(rng.choice(THREE_CHANGES)) if kind == "wide-parents" else kind.removeprefix("large-")
    return *change_and_size(rng, merge, change, sigma), change


def _quantised(rng: Rng, seed: int) -> World:
    """A pure merge of two, or of three, quantised."""
    world = merge_world("pure-three" if rng.random() < 0.25 else "pure", seed)
    suspect, format_ = quantised(rng, world.suspect)
    truth = replace(
        world.truth,
        kind="merge:quantised",
        variant=f"{format_}: {world.truth.variant}",
        notes={**world.truth.notes, "apart": {n: apart(world.suspect, m) for n, m in world.parents}},
    )
    return replace(world, suspect=suspect, truth=truth)


def _audit_of(rng: Rng, suspect: Model, first: Model, second: Model, control: Model, truth: Truth) -> World:
    parents = [("first", first), ("second", second)]
    order = tuple(parents[k] for k in rng.permutation(2))
    controls = (("control", control),) if rng.random() < 0.5 else ()
    return World(suspect, order, controls, truth)


def _parents(rng: Rng, real: bool, *, large: bool = False) -> tuple[list[str], dict[str, Weights]]:
    """Two parents and a control of three or four matrices; ``large``: three above 20,000 elements."""
    count, size = (3, 24_600) if large else (int(rng.integers(3, 5)), None)
    if real:
        models = family_pieces(rng, count=count, size=size)
    else:
        models = _tunes(rng, synthetic_base(rng, count=count, size=size))
    return [str(n) for n in rng.permutation(["O", "A", "B"])], models


def _tunes(rng: Rng, base: Weights) -> dict[str, Weights]:
    return {"O": base, "A": fine_tune(rng, base), "B": fine_tune(rng, base)}


def _three(rng: Rng, seed: int, real: bool) -> World:
    """.5 : .3 : .2 of three parents."""
    models = family_pieces(rng) if real else _tunes(rng, synthetic_base(rng))
    dtype = DType.BF16 if rng.random() < 0.75 else DType.F16
    kept = {n: stored(w, dtype) for n, w in models.items()}
    names = [str(n) for n in rng.permutation(["O", "A", "B"])]
    weights = (0.5, 0.3, 0.2)
    suspect = merged(weights, [kept[n] for n in names], dtype, str(rng.choice(["fp32", "fp64"])))
    truth = Truth(
        "merge:pure-three",
        f"{'real' if real else 'drawn'} {dtype}",
        seed,
        real,
        weights=dict(zip(names, weights, strict=True)),
    )
    return _audit_of_three(rng, suspect, kept, truth, stored(fine_tune(rng, models["O"]), dtype))


def _three_changed(rng: Rng, seed: int, real: bool) -> World:
    """Three parents, none of less than a tenth, and a change after the merge was stored."""
    count = int(rng.integers(3, 5))
    models = family_pieces(rng, count=count) if real else _tunes(rng, synthetic_base(rng, count=count))
    dtype = DType.BF16 if rng.random() < 0.75 else DType.F16
    kept = {n: stored(w, dtype) for n, w in models.items()}
    names = [str(n) for n in rng.permutation(["O", "A", "B"])]
    weights = (0.5, 0.3, 0.2)
    if rng.random() < 0.5:
        shares = 0.1 + 0.7 * rng.dirichlet(np.ones(3))
        weights = (float(shares[0]), float(shares[1]), float(shares[2]))
    merge = merged(weights, [kept[n] for n in names], dtype, str(rng.choice(["fp32", "fp64"])))
    sigma = float(np.exp(rng.uniform(np.log(1e-4), np.log(1e-2))))
    change = THREE_CHANGES[int(rng.integers(len(THREE_CHANGES)))]
    suspect, size = change_and_size(rng, merge, change, sigma)
    told = ", ".join(f"{w:.3g} {n}" for n, w in zip(names, weights, strict=True))
    truth = Truth(
        "merge:three-changed",
        f"{'real' if real else 'drawn'} {dtype} {told}; {change} {sigma:.1e}",
        seed,
        real,
        weights=dict(zip(names, weights, strict=True)),
        change=change,
        sigma=size,
        changed=_three_off_share(merge, suspect, [kept[n] for n in names]),
        notes={"dtype": str(dtype)},
    )
    return _audit_of_three(rng, suspect, kept, truth, stored(fine_tune(rng, models["O"]), dtype))


def _audit_of_three(
    rng: Rng, suspect: Model, kept: dict[str, Model], truth: Truth, control: Model
) -> World:
    controls = (("control", control),) if rng.random() < 0.5 else ()
    parents = tuple((n, kept[n]) for n in (str(x) for x in rng.permutation(sorted(kept))))
    return World(suspect, parents, controls, truth)


def _three_off_share(merge: Model, suspect: Model, parents: list[Model]) -> float:
    """Share of elements that the change moved, of those where the parents differ."""
    moved = total = 0
    for name, tensor in merge.items():
        differ = (parents[0][name].bits != parents[1][name].bits) | (
            parents[1][name].bits != parents[2][name].bits
        )
        moved += int(np.count_nonzero((tensor.bits != suspect[name].bits) & differ))
        total += int(np.count_nonzero(differ))
    return moved / max(total, 1)


def _real_steps(rng: Rng, seed: int) -> World:
    """A merge of the real run's end and base at any weight, moved by what real training moved it."""
    trained = REAL_STEPS[int(rng.integers(len(REAL_STEPS)))]
    pieces = run_pieces(rng, ("end", "base", "merge", trained, "sibling-2"), count=4)
    choice = ALPHAS[int(rng.integers(len(ALPHAS)))]
    alpha = float(rng.uniform(0.02, 0.98)) if choice is None else choice
    if rng.random() < 0.3:
        alpha = 0.6
    kept = {n: stored(w, DType.BF16) for n, w in pieces.items()}
    merge = merged((alpha, 1 - alpha), (kept["end"], kept["base"]), DType.BF16)
    moved = each_tensor(
        lambda m, after, before: m + after - before, values_of(merge), pieces[trained], pieces["merge"]
    )
    suspect = stored(moved, DType.BF16)
    truth = Truth(
        "merge:real-steps",
        f"{trained} α {alpha:.4g}",
        seed,
        True,
        weights={"first": alpha, "second": 1 - alpha},
        change="real-steps",
        changed=off_share(merge, suspect, kept["end"], kept["base"]),
    )
    return _audit_of(rng, suspect, kept["end"], kept["base"], kept["sibling-2"], truth)
