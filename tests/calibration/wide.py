"""Suspects published in float32: null suspects and merges that lie on a 16-bit grid, partly or not at all.

Of the suspects that are drawn as they come one in twenty is stored so, and what each of their numbers was
rounded to before is the hardest question that is asked of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from parentage.records.dtypes import DType
from tests.calibration.coded import NEVER
from tests.calibration.drawing import RUN_MODELS, Rng, audit_of, narrow_dtype, pick
from tests.worlds.planted import Floats, Model, Weights, World, each_tensor, matrices, stored, values_of
from tests.worlds.planted_bases import family_pieces, run_pieces, synthetic_base
from tests.worlds.planted_changes import fine_tune, relative_size
from tests.worlds.planted_runs import simulate_run

__all__ = ["MERGES", "WIDE_CHANGES", "changed_in_32", "in_float32", "wide_merge_null", "wide_null"]

Makers = Mapping[str, Callable[[Rng, int, bool], World]]
MERGES = ("missing-parent", "untrained-merge", "other-revision")
# What moves numbers of a 16-bit merge before it is published in 32 bits: all of them, some, or whole parts.
WIDE_CHANGES = ("dense", "t3", "some-50", "some-10", "some-1", "some-rows", "one-layer")
MOST_DRAWS = 400


def in_float32(model: Model) -> bool:
    """Whether every tensor is stored in float32."""
    return all(t.dtype is DType.F32 for t in model.values())


def wide_null(rng: Rng, seed: int, real: bool, makers: Makers) -> World:
    """A suspect that was never blended from the parents listed, published in float32."""
    form = str(rng.choice(["drawn", "cast", "partly", "mean", "mean"]))
    if form == "mean":
        return _mean_of_checkpoints(rng, seed, real)
    kind = NEVER[int(rng.integers(len(NEVER)))]
    world = _of(rng, form, kind, seed, real, makers)
    return _renamed(world, "float32", f"{form}: {kind}", kind)


def wide_merge_null(rng: Rng, seed: int, real: bool, makers: Makers) -> World:
    """A merge with a parent missing, in a foreign arithmetic or of another revision, in float32."""
    form = str(rng.choice(["drawn", "cast"]))
    kind = MERGES[int(rng.integers(len(MERGES)))]
    if kind == "other-revision":
        form = "cast"
    world = _of(rng, form, kind, seed, real, makers)
    return _renamed(world, "float32-merge", f"{form}: {kind}", kind)


def _of(rng: Rng, form: str, kind: str, seed: int, real: bool, makers: Makers) -> World:
    """A world of this kind with a suspect in float32: drawn so, cast so, or partly moved after the cast."""
    for _ in range(MOST_DRAWS):
        world = makers[kind](np.random.default_rng(int(rng.integers(2**62))), seed, real)
        if in_float32(world.suspect) == (form == "drawn"):
            break
    else:
        raise RuntimeError(f"no {kind} with a suspect that is {form}")
    if form == "drawn":
        return world
    suspect = _cast(world.suspect)
    if form == "partly":
        change = str(rng.choice([c for c in WIDE_CHANGES if c not in ("dense", "t3")]))
        suspect, _ = changed_in_32(rng, suspect, change, float(np.exp(rng.uniform(*np.log((1e-4, 1e-2))))))
    return replace(_wide_parents(rng, world), suspect=suspect)


def _wide_parents(rng: Rng, world: World) -> World:
    """Half of the time the others are published in float32 too."""
    if rng.random() < 0.5:
        return world
    parents = tuple((n, _cast(m)) for n, m in world.parents)
    controls = tuple((n, _cast(m)) for n, m in world.controls)
    return replace(world, parents=parents, controls=controls)


def _renamed(world: World, kind: str, told: str, of: str) -> World:
    truth = world.truth
    notes = {**truth.notes, "of": of}
    return replace(world, truth=replace(truth, kind=kind, variant=f"{told}: {truth.variant}", notes=notes))


def _cast(model: Model) -> Model:
    return stored(values_of(model), DType.F32)


def _mean_of_checkpoints(rng: Rng, seed: int, real: bool) -> World:
    """Checkpoints of a run stored in 16 bits, averaged in float32: equally, decaying, or anyhow."""
    dtype = narrow_dtype(rng)
    if real and rng.random() < 0.3:
        dtype = DType.BF16
        models = run_pieces(rng, RUN_MODELS)
        # At least one of them is never listed: without it, a mean of two that are would be a merge.
        names = [
            str(n) for n in rng.permutation(["step-200", "end", "trained-on"])[: int(rng.integers(1, 4))]
        ]
        used = [models[n] for n in (*names, str(rng.choice(["step-360", "ema"])))]
        models["before"], models["control"] = models["step-200"], models["sibling-2"]
        where = "real run"
    else:
        base = family_pieces(rng)["O"] if real else synthetic_base(rng)
        kept_at = tuple(float(f) for f in np.linspace(0.4, 0.98, int(rng.integers(2, 13))))
        run = simulate_run(rng, base, kept_at, size=relative_size(rng), dtype=dtype)
        used = [run.checkpoints[f] for f in kept_at]
        models = {"base": base, "end": run.checkpoints[1.0], "before": run.checkpoints[kept_at[0]]}
        models["control"] = fine_tune(rng, base)
        where = run.variant
    weights, how = _averaging(rng, len(used))
    mean = each_tensor(lambda *v: _weighted(weights, v), *(values_of(stored(w, dtype)) for w in used))
    wide = rng.random() < 0.5
    kept = {n: stored(w, DType.F32 if wide else dtype) for n, w in models.items()}
    names = list(
        pick(rng, [("end", "base"), ("end", "base"), ("end", "before"), ("end", "base", "before")])
    )
    variant = f"{how} mean of {len(used)} {dtype} checkpoints of {'+'.join(names)} ({where})"
    suspect = stored(mean, DType.F32)
    parents = [(n, kept[n]) for n in names]
    truth = {"fine-tune": ("base", "before")}
    control = ("control", kept["control"])
    world = audit_of(rng, "float32", seed, real, variant, suspect, parents, control, truth)
    return _renamed(world, "float32", "mean", "run-average")


def _averaging(rng: Rng, count: int) -> tuple[Floats, str]:
    how = str(rng.choice(["equal", "equal", "decaying", "uneven"]))
    weights = np.ones(count)
    if how == "decaying":
        weights = float(rng.choice([0.5, 0.7, 0.9])) ** np.arange(count)[::-1]
    elif how == "uneven":
        weights = rng.dirichlet(np.full(count, 3.0))
    return weights / weights.sum(), how


def _weighted(weights: Floats, values: tuple[Floats, ...]) -> Floats:
    """Summed in float32, as tools do."""
    total = np.zeros(values[0].shape, np.float32)
    for weight, value in zip(weights, values, strict=True):
        total += np.float32(weight) * value.astype(np.float32)
    return total.astype(np.float64)


def changed_in_32(rng: Rng, model: Model, change: str, sigma: float) -> tuple[Model, float | None]:
    """The model in float32 after one of WIDE_CHANGES, and the change's size where every number was moved.

    ``sigma``: the standard deviation of what is added, over that of each tensor's weights. The size: root
    mean square of what was added over the spread of the weights, the median over the matrices.
    """
    only = str(rng.choice(matrices(model))) if change == "one-layer" else ""
    after: Weights = {}
    sizes = []
    for name, value in values_of(model).items():
        noise = _noise(rng, change, value) * sigma * float(np.std(value))
        moved = noise * (not only or name == only)
        after[name] = value + moved
        if value.ndim == 2:
            sizes.append(float(np.sqrt(np.mean(moved**2)) / np.std(value)))
    whole = change in ("dense", "t3")
    return stored(after, DType.F32), float(np.median(sizes)) if whole else None


def _noise(rng: Rng, change: str, value: Floats) -> Floats:
    noise = rng.standard_t(3, size=value.shape) if change == "t3" else rng.normal(size=value.shape)
    if change == "some-rows":
        rows = rng.random(value.shape[0]) < rng.uniform(0.05, 0.5)
        return noise * rows.reshape((-1,) + (1,) * (value.ndim - 1))
    if change.startswith("some-"):
        return noise * (rng.random(value.shape) < float(change.removeprefix("some-")) / 100)
    return noise
