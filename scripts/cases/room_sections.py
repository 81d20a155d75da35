"""What the published figures cannot tell: layer norms, and later change too small to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fit_sections import rmse
from published import LAYER_NORMS, as_rows
from study import MAIN, World, curve, number
from tables import markdown, percent

from parentage.numerics.published.rounding_bias import (
    GAUSSIAN,
    LAPLACE,
    Moments,
    Origin,
    Pairs,
    Shape,
    around,
    centred,
    expected_moments,
    linear,
    stored_pairs,
)
from parentage.numerics.published.rounding_bias_change import (
    moments_after_change,
    moments_after_steps,
    moments_changed_before_storing,
)
from parentage.numerics.published.rounding_bias_fit import Curve, CurveFit, Row, figures_at, fit_rows
from parentage.records.absence import Absent

__all__ = ["norms_section", "training_section"]

ALPHA = 0.565


def norms_section() -> str:
    """Vectors of gains near 1: what is read of them, by delta."""
    lines = []
    for size in (0.0005, 0.001, 0.002, 0.003, 0.0035, 0.004, 0.006, 0.01):
        pairs = _gains(GAUSSIAN, 0.1, size)
        cells = [percent(size), percent(pairs.differing)]
        cells += [number(expected_moments(pairs, linear(a)).alpha) for a in (0.4, 0.51, 0.565, 0.6, 0.74)]
        lines.append(cells)
    head = ["delta", "A ≠ B", *(f"α = {a}" for a in (".40", ".51", ".565", ".60", ".74"))]
    solved = []
    for shape, spread in ((GAUSSIAN, 0.1), (GAUSSIAN, 0.5), (LAPLACE, 0.1), (LAPLACE, 0.5)):
        size, differing = _size_of_norms(shape, spread)
        solved.append([f"{shape.name} deltas, log gains sd {spread}", percent(size), percent(differing)])
    return (
        markdown(head, lines)
        + f"\n\nThe delta at which α = .565 reads {LAYER_NORMS}:\n\n"
        + markdown(["law", "delta", "elements with A ≠ B"], solved)
    )


def _gains(shape: Shape, log_spread: float, size: float) -> Pairs:
    return stored_pairs(weights=around(1.0, log_spread), delta=shape, size=size, origin=Origin.STORED)


def _size_of_norms(shape: Shape, log_spread: float) -> tuple[float, float]:
    """By bisection: the figure falls as the delta grows, up to 1 %."""
    low, high = 0.0005, 0.01
    for _ in range(30):
        middle = (low * high) ** 0.5
        pairs = _gains(shape, log_spread, middle)
        alpha = expected_moments(pairs, linear(0.565)).alpha
        if isinstance(alpha, Absent) or alpha > LAYER_NORMS:
            low = middle
        else:
            high = middle
    return middle, pairs.differing


def training_section() -> str:
    """How much later change the table leaves room for, at one α, under two laws of the deltas."""
    rows = as_rows()
    worlds = [MAIN, replace(MAIN, delta=LAPLACE)]
    unchanged = [fit_rows(curve(w, ALPHA), rows) for w in worlds]
    lines = []
    for about, make, amounts in KINDS:
        for amount in amounts:
            cells = [about, percent(amount) if make is after_steps else _dense(amount)]
            for world, base in zip(worlds, unchanged, strict=True):
                changed = curve(replace(world, measure=make(amount)), ALPHA)
                cells += [*_misfit(fit_rows(changed, rows), base, rows), *_falls(changed, base, world)]
            lines.append(cells)
    found = ["rms misfit", "F", "experts", "router 15"]
    head = ["change", "how large", *found, *found]
    plain_errors = " and ".join(f"{rmse(u, rows):.4f}" for u in unchanged)
    return markdown(head, lines) + f"\n\nRms misfit without a change: {plain_errors}."


def _dense(size: float) -> str:
    """A dense change, and the share of stored weights that it changes."""
    law = centred(GAUSSIAN, MAIN.spread)
    pairs = stored_pairs(weights=law, delta=GAUSSIAN, size=size * MAIN.spread, origin=Origin.STORED)
    return f"σ/sd {size:.0e} ({percent(pairs.differing)} changed)"


def _misfit(fit: CurveFit, base: CurveFit, rows: tuple[Row, ...]) -> list[str]:
    freedom = len(rows) - 1
    excess = (fit.chi_squared - base.chi_squared) / max(base.chi_squared / freedom, 1.0)
    return [f"{rmse(fit, rows):.4f}", f"{round(excess, 1) + 0.0:,.1f}"]


def _falls(changed: Curve, base: CurveFit, world: World) -> list[str]:
    """How far the cosine falls for the same delta: of the largest component, of the smallest delta."""
    before = curve(world, ALPHA)
    sizes = [base.rows[k].size for k in (0, 5)]
    return [f"{figures_at(before, s)[1] - figures_at(changed, s)[1]:.4f}" for s in sizes]


def after_change(size: float) -> Callable[[Pairs, float], Moments]:
    """A dense change after storing, relative to the weights' spread."""
    return lambda pairs, alpha: moments_after_change(pairs, linear(alpha), size * MAIN.spread)


def after_steps(share: float) -> Callable[[Pairs, float], Moments]:
    """A sparse change by grid steps after storing."""
    return lambda pairs, alpha: moments_after_steps(pairs, linear(alpha), share)


def before_storing(size: float) -> Callable[[Pairs, float], Moments]:
    """A dense change before storing."""
    return lambda pairs, alpha: moments_changed_before_storing(pairs, alpha, size * MAIN.spread)


KINDS = (
    ("stored, then changed everywhere", after_change, (1e-4, 3e-4, 5e-4, 1e-3, 2e-3)),
    ("stored, then a share moved one step", after_steps, (0.001, 0.003, 0.01, 0.1, 0.48)),
    ("changed before it was first stored", before_storing, (1e-4, 3e-4, 5e-4, 1e-3, 2e-3)),
)
