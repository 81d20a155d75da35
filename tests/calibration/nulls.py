"""Null worlds: suspects that must not be called a merge of their parents, or not a trained one.

Each kind is drawn from a seed; odd seeds start from real weights, even ones from drawn weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from parentage.records.dtypes import DType
from tests.calibration.coded import quantised_copy, quantised_null
from tests.calibration.drawing import RUN_MODELS, Rng, audit_of, generator, pick, store_all
from tests.calibration.null_merges import missing_parent, other_revision, untrained_merge
from tests.calibration.wide import wide_merge_null, wide_null
from tests.worlds.planted import Weights, World, each_tensor, stored, values_of
from tests.worlds.planted_bases import family_pieces, run_pieces, synthetic_base
from tests.worlds.planted_changes import fine_tune, relative_size, sibling_tunes
from tests.worlds.planted_merges import blend
from tests.worlds.planted_runs import simulate_run

__all__ = ["NULLS", "NULL_KINDS", "null_world"]


def null_world(kind: str, seed: int) -> World:
    """The world of this kind and seed."""
    return NULLS[kind](generator(kind, seed), seed, seed % 2 == 1)


def _start(rng: Rng, real: bool) -> Weights:
    return family_pieces(rng)["O"] if real else synthetic_base(rng)


def _descends_from(parents: Sequence[str], base: str = "base") -> dict[str, tuple[str, ...]]:
    """What is true of a fine-tune of the base beside other fine-tunes of it."""
    found: dict[str, tuple[str, ...]] = {"shared-ancestor": tuple(parents)}
    return found | ({"fine-tune": (base,)} if base in parents else {})


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
    names = pick(
        rng, [("base", "first"), ("base", "first"), ("first", "second"), ("base", "first", "second")]
    )
    kept = store_all(rng, models, "suspect")
    parents = [(n, kept[n]) for n in names]
    return audit_of(
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
    names = pick(rng, [("base", "first"), ("first", "second"), ("base", "first", "second")])
    kept = store_all(rng, models, "suspect")
    return audit_of(
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
        names = pick(
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
        return audit_of(
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
    names = pick(rng, [("end", "base"), ("end", "base"), ("end", "before"), ("end", "base", "before")])
    kept = store_all(rng, models, "suspect")
    return audit_of(
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
        names = pick(
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
        return audit_of(rng, "run-average", seed, True, variant, suspect, parents, control, truth)
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
    names = pick(rng, [("end", "base"), ("end", "base"), ("end", "before"), ("end", "base", "before")])
    kept = store_all(rng, models, "suspect")
    return audit_of(
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
        names = pick(
            rng, [("end", "base"), ("end", "step-200"), ("end", "sibling-1"), ("end", "step-360", "base")]
        )
        parents = [(n, kept[n]) for n in names]
        variant = f"real run: trained on, of {'+'.join(names)}"
        control = ("control", kept["sibling-2"])
        return audit_of(rng, "trained-on", seed, True, variant, kept["trained-on"], parents, control, truth)
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
    names = pick(rng, [("end", "base"), ("end", "base"), ("end", "other"), ("end", "base", "other")])
    kept = store_all(rng, models, "suspect")
    return audit_of(
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
        kept = store_all(rng, models, "suspect")
        variant = f"cosine {cosine:.2f}"
    names = pick(
        rng, [("base", "first"), ("base", "first"), ("first", "second"), ("base", "first", "second")]
    )
    return audit_of(
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


NULLS: dict[str, Callable[[Rng, int, bool], World]] = {
    "other-fine-tune": _other_fine_tune,
    "independent": _independent,
    "earlier-checkpoint": _earlier_checkpoint,
    "run-average": _run_average,
    "trained-on": _trained_on,
    "siblings": _siblings,
    "missing-parent": missing_parent,
    "untrained-merge": untrained_merge,
    "other-revision": other_revision,
}
PLAIN = dict(NULLS)
NULLS["quantised"] = lambda rng, seed, real: quantised_null(rng, seed, real, PLAIN)
NULLS["quantised-copy"] = lambda rng, seed, real: quantised_copy(rng, seed, real, PLAIN)
NULLS["float32"] = lambda rng, seed, real: wide_null(rng, seed, real, PLAIN)
NULLS["float32-merge"] = lambda rng, seed, real: wide_merge_null(rng, seed, real, PLAIN)
NULL_KINDS = tuple(NULLS)
