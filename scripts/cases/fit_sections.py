"""The published figures beside the predicted ones, and what the fit assumes, one thing at a time."""

from __future__ import annotations

import numpy as np
from published import PUBLISHED, as_rows
from study import (
    MAIN,
    POWERS,
    World,
    curve,
    grid_around,
    main_profiles,
    number,
    plain,
    profile_of,
    replayed_by,
)
from tables import markdown, percent, signed

from parentage.numerics.published.rounding_bias import (
    GAUSSIAN,
    LAPLACE,
    STUDENT_T5,
    Origin,
    centred,
    stored_pairs,
)
from parentage.numerics.published.rounding_bias_fit import CurveFit, Profile, Row, fit_rows, over_laws

__all__ = ["curve_section", "interval_section", "rmse", "sensitivity_section", "table_section"]

LEVEL = 0.95
SHOWN = (0.565, 4 / 7, 0.6)


def rmse(fit: CurveFit, rows: tuple[Row, ...], *, cosines: bool = True) -> float:
    """Root mean square misfit, unweighted, of weights and cosines or of weights alone."""
    pairs = list(zip(fit.rows, rows, strict=True))
    misfits = [f.alpha - r.alpha for f, r in pairs]
    if cosines:
        misfits += [f.cosine - r.cosine for f, r in pairs]
    return float(np.sqrt(np.mean(np.square(misfits))))


def table_section() -> str:
    """Published and predicted, row by row, at three weights; Gaussian weights and deltas."""
    rows = as_rows()
    fits = [fit_rows(curve(MAIN, a), rows) for a in SHOWN]
    lines = []
    for k, row in enumerate(rows):
        cells = [row.name, f"{row.alpha:.3f} / {row.cosine:.3f}", percent(fits[0].rows[k].size)]
        cells += [f"{f.rows[k].alpha:.4f} / {f.rows[k].cosine:.4f}" for f in fits]
        first = fits[0].rows[k]
        cells.append(f"{signed(first.alpha - row.alpha)} / {signed(first.cosine - row.cosine)}")
        lines.append(cells)
    head = ["row", "published α / cos", "delta", "α = .565", "α = 4/7", "α = .600", "misfit of .565"]
    errors = ", ".join(f"{rmse(f, rows):.4f}" for f in fits)
    weights = ", ".join(f"{rmse(f, rows, cosines=False):.4f}" for f in fits)
    return markdown(head, lines) + (
        f"\n\nRoot mean square misfit at the three weights: {errors} of all figures, {weights} of the "
        f"weights alone."
    )


def interval_section() -> str:
    """One α for all rows, the law of the deltas fitted too."""
    profiles = main_profiles()
    together = over_laws(profiles)
    lines = [_fitted(f"deltas of power {p:g}", f) for p, f in zip(POWERS, profiles, strict=True)]
    lines.append(_fitted("the best of these at each α", together))
    head = ["law", "best α", "95 % interval", "least χ² / freedom", "F of 4/7", "F of .600"]
    return markdown(head, lines)


def _fitted(name: str, found: Profile) -> list[str]:
    low, high = found.interval(level=LEVEL)
    ratios = []
    for alpha in SHOWN[1:]:
        at = int(np.flatnonzero(found.alphas == alpha)[0])
        excess = float(found.chi_squared[at] - found.chi_squared.min())
        ratios.append(f"{excess / max(found.inflation, 1.0):,.0f}")
    return [name, f"{found.best:.4f}", f"{low:.4f} to {high:.4f}", f"{found.inflation:,.1f}", *ratios]


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
        World("delta sizes of pooled rows log-normal, sd .3", log_spread=0.3),
        World("delta sizes of pooled rows log-normal, sd .5", log_spread=0.5),
    ]
    found = [(w, rows) for w in worlds]
    found.append((World("4,096 elements of each router were read"), as_rows(routers_read=4096)))
    high = tuple(f for f in PUBLISHED if f.alpha > 0.57)
    found.append((World("without the two rows that read less than 4/7"), as_rows(high)))
    for k, figure in enumerate(PUBLISHED):
        if figure.name in ("experts", "attention", "router, layer 15", "router, layer 59"):
            found.append((World(f"without {figure.name}"), as_rows(PUBLISHED[:k] + PUBLISHED[k + 1 :])))
    return found


def sensitivity_section() -> str:
    """The fit under each assumption; then mergers that round more than once."""
    alphas = tuple(sorted({*grid_around(0.55, 0.58, 0.002, 15), *SHOWN}))
    lines = [_fitted(w.name, profile_of(w, alphas, rows)) for w, rows in assumptions()]
    several = tuple(sorted({0.55, 0.56, 0.565, 0.57, 0.575, 0.58, 0.585, 0.59, 0.595, 0.605, 0.61, *SHOWN}))
    for name, about in (
        ("task-16", "16-bit deltas, scaled and added in 16 bits"),
        ("scalar-16", "products and sum each rounded to 16 bits"),
        ("mergekit-0.1.4", "16-bit weights, products and sum (mergekit ≤ 0.1.4)"),
    ):
        world = World(about, measure=replayed_by(name))
        lines.append(_fitted(about, profile_of(world, several, as_rows())))
    head = ["assumption", "best α", "95 % interval", "χ² / freedom", "F of 4/7", "F of .600"]
    return markdown(head, lines)
