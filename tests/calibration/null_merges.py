"""Null worlds that are merges: with a parent missing, in another arithmetic, of another revision."""

from __future__ import annotations

import numpy as np

from parentage.records.dtypes import DType
from tests.calibration.drawing import RUN_MODELS, Rng, any_dtype, audit_of, narrow_dtype
from tests.worlds.planted import Weights, World, stored, values_of
from tests.worlds.planted_bases import family_pieces, run_pieces, synthetic_base
from tests.worlds.planted_changes import change_after, fine_tune, moved_by_steps
from tests.worlds.planted_merges import ARITHMETICS, FOREIGN, blend, merged

__all__ = ["missing_parent", "other_revision", "untrained_merge"]


# What a tool would call task arithmetic: a change from one model, scaled in 16 bits, put back on it.
BY_CHANGES = ("16-bit-lerp", "scaled-task-16")


def _several(rng: Rng, real: bool) -> tuple[str, dict[str, Weights]]:
    """Four related models and what they are."""
    if real and rng.random() < 0.3:
        pieces = run_pieces(rng, RUN_MODELS)
        return "real run", {
            "O": pieces["base"],
            "A": pieces["end"],
            "B": pieces["sibling-1"],
            "D": pieces["sibling-2"],
        }
    if real:
        pieces = family_pieces(rng)
        return "family", {**pieces, "D": fine_tune(rng, pieces["O"])}
    base = synthetic_base(rng)
    return "drawn", {"O": base, **{n: fine_tune(rng, base) for n in ("A", "B", "D")}}


def missing_parent(rng: Rng, seed: int, real: bool) -> World:
    where, models = _several(rng, real)
    dtype = any_dtype(rng)
    kept = {n: stored(w, dtype) for n, w in models.items()}
    names = [str(n) for n in rng.permutation(["O", "A", "B"])]
    listed = names[:2]
    if rng.random() < 0.3:
        names.append("D")
        listed = names[:3] if rng.random() < 0.7 else names[:2]
    options = [(0.5, 0.3, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.6, 0.3, 0.1), (0.45, 0.45, 0.1), None]
    choice = options[int(rng.integers(len(options)))]
    if choice is None or len(names) == 4:
        choice = tuple(float(w) for w in rng.dirichlet(np.full(len(names), 4.0)))
    arithmetic = str(rng.choice(["fp32", "fp64"]))
    suspect = merged(choice, [kept[n] for n in names], dtype, arithmetic)
    control = next((n for n in ("D", "B") if n not in names), None)
    spare = fine_tune(rng, models["O"])
    weights = dict(zip(names, (round(w, 6) for w in choice), strict=True))
    return audit_of(
        rng,
        "missing-parent",
        seed,
        real,
        f"{where}: {'+'.join(names)} audited with {'+'.join(listed)}",
        suspect,
        [(n, kept[n]) for n in listed],
        ("control", kept[control] if control else stored(spare, dtype)),
        {},
        weights,
    )


def _alpha(rng: Rng) -> float:
    choice = (0.05, 0.25, 0.5, 0.6, 0.75, 0.95, None)[int(rng.integers(7))]
    return float(rng.uniform(0.03, 0.97)) if choice is None else choice


def untrained_merge(rng: Rng, seed: int, real: bool) -> World:
    where, models = _several(rng, real)
    t = _alpha(rng)
    names = [str(n) for n in rng.permutation(["O", "A", "B"])[:2]]
    variants = [*FOREIGN, "cast-inputs", "cast-inputs", "merge-of-three-in-two-steps"]
    variant = str(rng.choice(variants))
    dtype = narrow_dtype(rng)
    kept = {n: stored(w, dtype) for n, w in models.items()}
    listed = names
    supported: dict[str, tuple[str, ...]] = {}
    weights = {names[0]: t, names[1]: 1 - t}
    if variant == "cast-inputs":
        cast = narrow_dtype(rng)
        variant = f"inputs cast to {cast}, stored as {dtype}"
        parts = [values_of(stored(models[n], cast)) for n in names]
        kept |= {n: stored(models[n], DType.F32) for n in names}
        arithmetic = str(rng.choice(list(ARITHMETICS)))
        suspect = stored(blend((t, 1 - t), parts, arithmetic), DType.F32 if rng.random() < 0.2 else dtype)
    elif variant == "merge-of-three-in-two-steps":
        listed = ["O", "A", "B"]
        middle = merged((0.5, 0.5), [kept["A"], kept["O"]], dtype)
        suspect = merged((t, 1 - t), [middle, kept["B"]], dtype)
        weights = {"A": t / 2, "O": t / 2, "B": 1 - t}
    else:
        # What it weighs in all is the variant's own affair.
        weights = {}
        if variant in BY_CHANGES:
            supported = {"task-arithmetic-merge": tuple(names)}
        first, second = (values_of(kept[n]) for n in names)
        suspect = FOREIGN[variant](rng, t, first, second, dtype)
    control = next(n for n in ("D", "B", "A") if n not in listed)
    return audit_of(
        rng,
        "untrained-merge",
        seed,
        real,
        f"{where}: {variant}",
        suspect,
        [(n, kept[n]) for n in listed],
        ("control", kept[control]),
        supported,
        weights,
    )


def other_revision(rng: Rng, seed: int, real: bool) -> World:
    """Merged from one revision of the first parent, audited with another; never trained."""
    t = _alpha(rng)
    if real and rng.random() < 0.5:
        pieces = run_pieces(rng, RUN_MODELS)
        used, given = (str(n) for n in rng.permutation(["end", "trained-on", "step-360"])[:2])
        dtype = DType.BF16
        kept = {n: stored(w, dtype) for n, w in pieces.items()}
        first, revised, second = kept[used], kept[given], kept["base"]
        control, variant = kept["sibling-2"], f"real run: made from {used}, audited with {given}"
    else:
        _, models = _several(rng, real)
        dtype = narrow_dtype(rng)
        kept = {n: stored(w, dtype) for n, w in models.items()}
        first, second, control = kept["A"], kept["O"], kept["B"]
        how = str(rng.choice(["sparse-1", "sparse-10", "sparse-48", "dense", "t3"]))
        if how.startswith("sparse"):
            revised = moved_by_steps(rng, first, float(how.removeprefix("sparse-")) / 100)
        else:
            revised = change_after(rng, first, how, float(np.exp(rng.uniform(np.log(1e-4), np.log(3e-3)))))
        variant = f"the revision moved {how}"
    suspect = merged((t, 1 - t), [first, second], dtype)
    return audit_of(
        rng,
        "other-revision",
        seed,
        real,
        variant,
        suspect,
        [("first", revised), ("second", second)],
        ("control", control),
        {},
        {"first": t, "second": 1 - t},
    )
