"""The published figures beside the predicted ones, and what the fit assumes, one thing at a time."""

from __future__ import annotations

import numpy as np
from published import PUBLISHED, as_rows
from study import (
    MAIN,
    World,
    curve,
    grid_around,
    heavier,
    hull,
    main_profile,
    number,
    plain,
    profile_of,
    replayed_by,
)
from tables import markdown, percent

from parentage.numerics.rounding_bias import (
    GAUSSIAN,
    LAPLACE,
    STUDENT_T5,
    Origin,
    centred,
    stored_pairs,
)
from parentage.numerics.rounding_bias_fit import CurveFit, Row, fit_rows

__all__ = ["curve_section", "rmse", "sensitivity_section", "table_section"]

LEVEL = 0.95
NAMED = (4 / 7, 0.6)


def rmse(fit: CurveFit, rows: tuple[Row, ...], *, cosines: bool = True) -> float:
    """Root mean square misfit, unweighted, of weights and cosines or of weights alone."""
    pairs = list(zip(fit.rows, rows, strict=True))
    misfits = [f.alpha - r.alpha for f, r in pairs]
    if cosines:
        misfits += [f.cosine - r.cosine for f, r in pairs]
    return float(np.sqrt(np.mean(np.square(misfits))))


def table_section() -> str:
    """Published and predicted, row by row, at the best weight and at two that were named."""
    rows = as_rows()
    best = main_profile().best
    fits = [fit_rows(curve(MAIN, a), rows) for a in (best, *NAMED)]
    lines = []
    for k, row in enumerate(rows):
        cells = [row.name, f"{row.alpha:.3f} / {row.cosine:.3f}", percent(fits[0].rows[k].size)]
        cells += [f"{f.rows[k].alpha:.4f} / {f.rows[k].cosine:.4f}" for f in fits]
        misfit = fits[0].rows[k].alpha - row.alpha, fits[0].rows[k].cosine - row.cosine
        cells.append(f"{misfit[0]:+.4f} / {misfit[1]:+.4f}")
        lines.append(cells)
    head = ["row", "published α / cos", "delta", f"α = {best:.4f}", "α = 4/7", "α = .600", "misfit (first)"]
    errors = ", ".join(f"{rmse(f, rows):.4f}" for f in fits)
    weights = ", ".join(f"{rmse(f, rows, cosines=False):.4f}" for f in fits)
    return markdown(head, lines) + (
        f"\n\nRoot mean square misfit at the three weights: {errors} of all figures, {weights} of the "
        f"weights alone ({2 * len(rows)} figures, {len(rows) + 1} unknowns).\n\n{_intervals()}"
    )


def _intervals() -> str:
    profiles = {"Gaussian": main_profile(), "Laplace": main_profile(heavier(MAIN))}
    lines = []
    for name, each in profiles.items():
        low, high = each.interval(level=LEVEL)
        cells = [name, f"{each.best:.4f}", f"{low:.4f} to {high:.4f}", f"{each.inflation:.1f}"]
        lines.append([*cells, f"{each.inflation**0.5:.1f}"])
    low, high = hull(list(profiles.values()), level=LEVEL)
    head = ["deltas", "best α", "95 % interval", "least χ² / freedom", "errors taken, over those stated"]
    return markdown(head, lines) + f"\n\nOne α for all rows, under either law: {low:.4f} to {high:.4f}."


def curve_section() -> str:
    """What one weight looks like to least squares, by the size of the delta."""
    shown = (0.003, 0.005, 0.007, 0.01, 0.014, 0.02, 0.03, 0.05, 0.1)
    law = centred(GAUSSIAN, MAIN.spread)
    lines = []
    for size in shown:
        cells = [percent(size)]
        for origin in (Origin.STORED, Origin.UNSTORED):
            for alpha in (0.565, 0.6):
                pairs = stored_pairs(weights=law, delta=GAUSSIAN, size=MAIN.spread * size, origin=origin)
                moments = plain(pairs, alpha)
                cells.append(f"{number(moments.alpha)} / {number(moments.cosine)}")
        lines.append(cells)
    heads = [f"{o}, α = {a}" for o in ("A = r(B + Δ)", "A = r(W + Δ)") for a in (".565", ".600")]
    return markdown(["delta", *heads], lines)


def assumptions() -> list[tuple[World, tuple[Row, ...]]]:
    """Everything that the main fit assumes, changed one thing at a time."""
    rows = as_rows()
    worlds = [
        MAIN,
        World("A and B both rounded from wider weights", origin=Origin.UNSTORED),
        World("weights' spread elsewhere in a binade (.014)", spread=0.014),
        World("weights Laplace", weights=LAPLACE),
        World("weights Student t₅", weights=STUDENT_T5),
        World("deltas Laplace (differing within a tensor)", delta=LAPLACE),
        World("delta sizes of pooled rows log-normal, sd .3", log_spread=0.3),
        World("delta sizes of pooled rows log-normal, sd .5", log_spread=0.5),
    ]
    found = [(w, rows) for w in worlds]
    found.append((World("4,096 elements of each router were read"), as_rows(routers_read=4096)))
    for k, figure in enumerate(PUBLISHED):
        if figure.name in ("experts", "attention", "router, layer 15", "router, layer 59"):
            found.append((World(f"without {figure.name}"), as_rows(PUBLISHED[:k] + PUBLISHED[k + 1 :])))
    return found


def sensitivity_section() -> str:
    """The fit under each assumption; then mergers that round more than once."""
    alphas = tuple(sorted({*grid_around(0.55, 0.58, 0.002, 15), *NAMED}))
    lines = [_sensitivity(w, rows, alphas) for w, rows in assumptions()]
    several = tuple(sorted({0.55, 0.56, 0.565, 0.57, 0.575, 0.58, 0.585, 0.59, 0.595, 0.605, 0.61, *NAMED}))
    for name, about in (
        ("task-16", "16-bit deltas, scaled and added in 16 bits"),
        ("scalar-16", "products and sum each rounded to 16 bits"),
        ("mergekit-0.1.4", "16-bit weights, products and sum (mergekit ≤ 0.1.4)"),
    ):
        lines.append(_sensitivity(World(about, measure=replayed_by(name)), as_rows(), several))
    head = ["assumption", "best α", "95 % interval", "χ² / freedom", "F of 4/7", "F of .600"]
    return markdown(head, lines)


def _sensitivity(world: World, rows: tuple[Row, ...], alphas: tuple[float, ...]) -> list[str]:
    found = profile_of(world, alphas, rows)
    low, high = found.interval(level=LEVEL)
    ratios = []
    for alpha in NAMED:
        excess = float(found.chi_squared[alphas.index(alpha)] - found.chi_squared.min())
        ratios.append(f"{excess / max(found.inflation, 1.0):,.0f}")
    return [world.name, f"{found.best:.4f}", f"{low:.4f} to {high:.4f}", f"{found.inflation:,.1f}", *ratios]
