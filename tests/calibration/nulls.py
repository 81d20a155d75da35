"""Null worlds: suspects that must not be called a merge of their parents, or not a trained one.

Each kind is drawn from a seed; odd seeds start from real weights, even ones from drawn weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from parentage.records.dtypes import DType
from tests.worlds.planted import Model, Truth, Weights, World, each_tensor, stored, values_of
from tests.worlds.planted_bases import family_pieces, run_pieces, synthetic_base
from tests.worlds.planted_changes import (
    change_after,
    fine_tune,
    moved_by_steps,
    relative_size,
    sibling_tunes,
)
from tests.worlds.planted_merges import ARITHMETICS, FOREIGN, blend, merged
from tests.worlds.planted_runs import simulate_run

__all__ = ["NULLS", "NULL_KINDS", "generator", "null_world"]

Named = tuple[str, Model]
Rng = np.random.Generator

RUN_MODELS = ("base", "step-200", "step-360", "end", "ema", "trained-on", "sibling-1", "sibling-2")


def generator(kind: str, seed: int) -> Rng:
    """The generator of one world."""
    word = int.from_bytes(hashlib.sha256(kind.encode()).digest()[:8], "little")
    return np.random.default_rng([seed, word])


def null_world(kind: str, seed: int) -> World:
    """The world of this kind and seed."""
    return NULLS[kind](generator(kind, seed), seed, seed % 2 == 1)


def _dtype(rng: Rng) -> DType:
    """bf16 is usual, fp16 happens, fp32 is rare."""
    return (DType.BF16, DType.F16, DType.F32)[int(rng.choice(3, p=[0.8, 0.13, 0.07]))]


def _narrow(rng: Rng) -> DType:
    return DType.BF16 if rng.random() < 0.8 else DType.F16


def _start(rng: Rng, real: bool) -> Weights:
    return family_pieces(rng)["O"] if real else synthetic_base(rng)


def _world(
    rng: Rng,
    kind: str,
    seed: int,
    real: bool,
    variant: str,
    suspect: Model,
    parents: Sequence[Named],
    control: Named | None,
    supported: Mapping[str, tuple[str, ...]],
    weights: Mapping[str, float] | None = None,
) -> World:
    """Parents in any order; half of the audits that could have a control have it."""
    order = [parents[k] for k in rng.permutation(len(parents))]
    controls = (control,) if control is not None and rng.random() < 0.5 else ()
    truth = Truth(kind, variant, seed, real, weights=weights or {}, supported=supported)
    return World(suspect, tuple(order), controls, truth)


def _pick(rng: Rng, options: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return options[int(rng.integers(len(options)))]


def _descends_from(parents: Sequence[str], base: str = "base") -> dict[str, tuple[str, ...]]:
    """What is true of a fine-tune of the base beside other fine-tunes of it."""
    found: dict[str, tuple[str, ...]] = {"shared-ancestor": tuple(parents)}
    return found | ({"fine-tune": (base,)} if base in parents else {})


# What the models are stored as: usually all alike, sometimes parents are published in fp32.
def _store_all(rng: Rng, models: Mapping[str, Weights], suspect: str) -> dict[str, Model]:
    dtype = _dtype(rng)
    wide = dtype is not DType.F32 and rng.random() < 0.12
    return {n: stored(w, DType.F32 if wide and n != suspect else dtype) for n, w in models.items()}


def _other_fine_tune(rng: Rng, seed: int, real: bool) -> World:
    if real:
        pieces = family_pieces(rng)
        models = {"base": pieces["O"], "first": pieces["A"], "suspect": pieces["B"]}
        if rng.random() < 0.5:
            models["first"], models["suspect"] = models["suspect"], models["first"]
        models["second"] = fine_tune(rng, models["base"])
    else:
        base = synthetic_base(rng)
        models = {"base": base, **{n: fine_tune(rng, base) for n in ("first", "suspect", "second")}}
    models["control"] = fine_tune(rng, models["base"])
    names = _pick(
        rng, [("base", "first"), ("base", "first"), ("first", "second"), ("base", "first", "second")]
    )
    kept = _store_all(rng, models, "suspect")
    parents = [(n, kept[n]) for n in names]
    return _world(
        rng,
        "other-fine-tune",
        seed,
        real,
        "+".join(names),
        kept["suspect"],
        parents,
        ("control", kept["control"]),
        _descends_from(names),
    )


def _independent(rng: Rng, seed: int, real: bool) -> World:
    if real:
        pieces = family_pieces(rng, elsewhere=True)
        models = {
            "base": pieces["O"],
            "first": pieces["A"],
            "second": pieces["B"],
            "suspect": pieces["other"],
        }
    else:
        base = synthetic_base(rng)
        models = {"base": base, **{n: fine_tune(rng, base) for n in ("first", "second")}}
        models["suspect"] = {
            n: rng.normal(float(np.mean(v)), float(np.std(v)), v.shape) for n, v in base.items()
        }
    models["control"] = fine_tune(rng, models["base"])
    names = _pick(rng, [("base", "first"), ("first", "second"), ("base", "first", "second")])
    kept = _store_all(rng, models, "suspect")
    return _world(
        rng,
        "independent",
        seed,
        real,
        "+".join(names),
        kept["suspect"],
        [(n, kept[n]) for n in names],
        ("control", kept["control"]),
        {"independent": names},
    )


def _earlier_checkpoint(rng: Rng, seed: int, real: bool) -> World:
    if real and rng.random() < 0.5:
        pieces = run_pieces(rng, RUN_MODELS)
        suspect = str(rng.choice(["step-200", "step-360"]))
        earlier = "step-200" if suspect == "step-360" else "step-360"
        names = _pick(
            rng,
            [
                ("end", "base"),
                ("end", "base"),
                ("end", earlier),
                ("end", "sibling-1"),
                ("end", "base", earlier),
            ],
        )
        kept = {n: stored(w, DType.BF16) for n, w in pieces.items()}
        truth = {"fine-tune": ("base", *(("step-200",) if suspect == "step-360" else ()))}
        return _world(
            rng,
            "earlier-checkpoint",
            seed,
            True,
            f"real run: {suspect} of {'+'.join(names)}",
            kept[suspect],
            [(n, kept[n]) for n in names],
            ("control", kept["sibling-2"]),
            truth,
        )
    base = _start(rng, real)
    fraction = float(rng.choice([0.2, 0.5, 0.7, 0.9, 0.97]))
    before = fraction / 2
    run = simulate_run(rng, base, (before, fraction), size=relative_size(rng))
    models = {
        "base": base,
        "end": run.checkpoints[1.0],
        "suspect": run.checkpoints[fraction],
        "before": run.checkpoints[before],
        "control": fine_tune(rng, base),
    }
    names = _pick(rng, [("end", "base"), ("end", "base"), ("end", "before"), ("end", "base", "before")])
    kept = _store_all(rng, models, "suspect")
    return _world(
        rng,
        "earlier-checkpoint",
        seed,
        real,
        f"{fraction:.0%} of a run of {'+'.join(names)} ({run.variant})",
        kept["suspect"],
        [(n, kept[n]) for n in names],
        ("control", kept["control"]),
        {"fine-tune": ("base", "before")},
    )


def _run_average(rng: Rng, seed: int, real: bool) -> World:
    truth = {"fine-tune": ("base", "before")}
    if real and rng.random() < 0.5:
        pieces = run_pieces(rng, RUN_MODELS)
        kept = {n: stored(w, DType.BF16) for n, w in pieces.items()}
        names = _pick(
            rng,
            [
                ("end", "base"),
                ("end", "base"),
                ("end", "step-200"),
                ("end", "sibling-1"),
                ("end", "step-200", "base"),
            ],
        )
        suspect, variant = kept["ema"], "real run: its average"
        if rng.random() < 0.4:
            suspect = stored(blend((0.5, 0.5), (pieces["step-360"], pieces["ema"])), DType.BF16)
            variant = "real run: mean of step 360 and of the average"
        parents = [(n, kept[n]) for n in names]
        variant = f"{variant} of {'+'.join(names)}"
        control = ("control", kept["sibling-2"])
        return _world(rng, "run-average", seed, True, variant, suspect, parents, control, truth)
    base = _start(rng, real)
    kept_at = (0.4, 0.6, 0.7, 0.8, 0.9)
    run = simulate_run(
        rng, base, kept_at, size=relative_size(rng), decay=float(rng.choice([0.8, 0.9, 0.95, 0.98]))
    )
    models = {"base": base, "end": run.checkpoints[1.0], "before": run.checkpoints[0.4]}
    models |= {"control": fine_tune(rng, base), "suspect": run.average}
    variant = "exponential average"
    if rng.random() < 0.35:
        used = [run.checkpoints[f] for f in kept_at[-int(rng.integers(2, 5)) :]]
        used = [values_of(stored(w, DType.BF16)) for w in used]
        models["suspect"] = each_tensor(lambda *v: np.mean(v, axis=0), *used)
        variant = f"mean of {len(used)} checkpoints"
    names = _pick(rng, [("end", "base"), ("end", "base"), ("end", "before"), ("end", "base", "before")])
    kept = _store_all(rng, models, "suspect")
    return _world(
        rng,
        "run-average",
        seed,
        real,
        f"{variant} of {'+'.join(names)} ({run.variant})",
        kept["suspect"],
        [(n, kept[n]) for n in names],
        ("control", kept["control"]),
        truth,
    )


def _trained_on(rng: Rng, seed: int, real: bool) -> World:
    truth = {"fine-tune": ("end", "base")}
    if real and rng.random() < 0.5:
        pieces = run_pieces(rng, RUN_MODELS)
        kept = {n: stored(w, DType.BF16) for n, w in pieces.items()}
        names = _pick(
            rng, [("end", "base"), ("end", "step-200"), ("end", "sibling-1"), ("end", "step-360", "base")]
        )
        parents = [(n, kept[n]) for n in names]
        variant = f"real run: trained on, of {'+'.join(names)}"
        control = ("control", kept["sibling-2"])
        return _world(rng, "trained-on", seed, True, variant, kept["trained-on"], parents, control, truth)
    if real:
        pieces = family_pieces(rng)
        base, end = pieces["O"], pieces[str(rng.choice(["A", "B"]))]
    else:
        base = synthetic_base(rng)
        end = fine_tune(rng, base)
    kept_end = values_of(stored(end, DType.BF16))
    run = simulate_run(rng, kept_end, (), size=relative_size(rng))
    models = {"base": base, "end": end, "suspect": run.checkpoints[1.0], "other": fine_tune(rng, base)}
    models["control"] = fine_tune(rng, base)
    names = _pick(rng, [("end", "base"), ("end", "base"), ("end", "other"), ("end", "base", "other")])
    kept = _store_all(rng, models, "suspect")
    return _world(
        rng,
        "trained-on",
        seed,
        real,
        f"trained on, of {'+'.join(names)} ({run.variant})",
        kept["suspect"],
        [(n, kept[n]) for n in names],
        ("control", kept["control"]),
        truth,
    )


def _siblings(rng: Rng, seed: int, real: bool) -> World:
    if real and rng.random() < 0.5:
        pieces = run_pieces(rng, RUN_MODELS)
        roles = [str(n) for n in rng.permutation(["end", "sibling-1", "sibling-2"])]
        models = {"base": pieces["base"], "suspect": pieces[roles[0]], "first": pieces[roles[1]]}
        models["second"] = pieces[roles[2]]
        models["control"] = pieces[str(rng.choice(["step-200", "trained-on", "ema"]))]
        kept = {n: stored(w, DType.BF16) for n, w in models.items()}
        variant = f"real run: {roles[0]}"
    else:
        base = _start(rng, real)
        cosine = float(rng.uniform(0.2, 0.7))
        tunes = sibling_tunes(rng, base, 4, cosine)
        models = {"base": base, **dict(zip(("suspect", "first", "second", "control"), tunes, strict=True))}
        kept = _store_all(rng, models, "suspect")
        variant = f"cosine {cosine:.2f}"
    names = _pick(
        rng, [("base", "first"), ("base", "first"), ("first", "second"), ("base", "first", "second")]
    )
    return _world(
        rng,
        "siblings",
        seed,
        real,
        f"{variant} of {'+'.join(names)}",
        kept["suspect"],
        [(n, kept[n]) for n in names],
        ("control", kept["control"]),
        _descends_from(names),
    )


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


def _missing_parent(rng: Rng, seed: int, real: bool) -> World:
    where, models = _several(rng, real)
    dtype = _dtype(rng)
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
    return _world(
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


def _untrained_merge(rng: Rng, seed: int, real: bool) -> World:
    where, models = _several(rng, real)
    t = _alpha(rng)
    names = [str(n) for n in rng.permutation(["O", "A", "B"])[:2]]
    variants = [*FOREIGN, "cast-inputs", "cast-inputs", "merge-of-three-in-two-steps"]
    variant = str(rng.choice(variants))
    dtype = _narrow(rng)
    kept = {n: stored(w, dtype) for n, w in models.items()}
    listed = names
    weights = {names[0]: t, names[1]: 1 - t}
    if variant == "cast-inputs":
        cast = _narrow(rng)
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
        first, second = (values_of(kept[n]) for n in names)
        suspect = FOREIGN[variant](rng, t, first, second, dtype)
    control = next(n for n in ("D", "B", "A") if n not in listed)
    return _world(
        rng,
        "untrained-merge",
        seed,
        real,
        f"{where}: {variant}",
        suspect,
        [(n, kept[n]) for n in listed],
        ("control", kept[control]),
        {},
        weights,
    )


def _other_revision(rng: Rng, seed: int, real: bool) -> World:
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
        dtype = _narrow(rng)
        kept = {n: stored(w, dtype) for n, w in models.items()}
        first, second, control = kept["A"], kept["O"], kept["B"]
        how = str(rng.choice(["sparse-1", "sparse-10", "sparse-48", "dense", "t3"]))
        if how.startswith("sparse"):
            revised = moved_by_steps(rng, first, float(how.removeprefix("sparse-")) / 100)
        else:
            revised = change_after(rng, first, how, float(np.exp(rng.uniform(np.log(1e-4), np.log(3e-3)))))
        variant = f"the revision moved {how}"
    suspect = merged((t, 1 - t), [first, second], dtype)
    return _world(
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


NULLS: dict[str, Callable[[Rng, int, bool], World]] = {
    "other-fine-tune": _other_fine_tune,
    "independent": _independent,
    "earlier-checkpoint": _earlier_checkpoint,
    "run-average": _run_average,
    "trained-on": _trained_on,
    "siblings": _siblings,
    "missing-parent": _missing_parent,
    "untrained-merge": _untrained_merge,
    "other-revision": _other_revision,
}
NULL_KINDS = tuple(NULLS)
