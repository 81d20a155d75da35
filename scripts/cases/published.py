"""The figures that were published of the Rio case, as they reached us: second-hand, weights unseen.

Rio-3.5-Open-397B was explained as a blend of Nex-N2-Pro and Qwen3.5-397B-A17B; each row is a
least-squares weight of Nex and a cosine. What was not published with them (how rows were pooled, which
elements were read, between which two vectors the cosine was taken) is not known here either. The cosine
is read as that of Rio - Qwen with Nex - Qwen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from parentage.numerics.published.rounding_bias_fit import Row

__all__ = ["LAYER_NORMS", "POOLED", "PUBLISHED", "Figure", "as_rows"]

# Three decimals were printed: an error uniform within half of the last one.
PRINTED = 0.001 / math.sqrt(12)
LAYER_NORMS = 0.9


@dataclass(frozen=True, slots=True)
class Figure:
    """One published row; ``given``: its published ±; ``elements``: how many weights there are in all
    where that is few enough to matter (a gate is one row of the hidden size, 4,096)."""

    name: str
    alpha: float
    cosine: float
    given: float = 0.0
    elements: int = 0


PUBLISHED = (
    Figure("experts", 0.571, 0.993, given=0.0016),
    Figure("lm_head", 0.574, 0.991),
    Figure("attention", 0.585, 0.986),
    Figure("linear attention", 0.586, 0.984),
    Figure("router, layer 0", 0.573, 0.992),
    Figure("router, layer 15", 0.647, 0.962),
    Figure("router, layer 30", 0.627, 0.967),
    Figure("router, layer 45", 0.582, 0.987),
    Figure("router, layer 59", 0.567, 0.997),
    Figure("shared-expert gate, layer 0", 0.568, 0.997, elements=4096),
    Figure("shared-expert gate, layer 30", 0.581, 0.988, elements=4096),
)
# Rows that stand for many tensors; the others are one tensor each.
POOLED = frozenset({"experts", "attention", "linear attention"})


def as_rows(figures: tuple[Figure, ...] = PUBLISHED, *, routers_read: int = 0) -> tuple[Row, ...]:
    """Rows with standard errors from printing, the published ± and the number of elements.

    ``routers_read``: suppose that only so many elements of each router were read.
    """
    rows = []
    for figure in figures:
        elements = figure.elements
        if routers_read and figure.name.startswith("router"):
            elements = routers_read
        alpha, cosine = _sampling_errors(figure, elements) if elements else (0.0, 0.0)
        rows.append(
            Row(
                figure.name,
                figure.alpha,
                figure.cosine,
                math.hypot(PRINTED, figure.given, alpha),
                math.hypot(PRINTED, cosine),
            )
        )
    return tuple(rows)


def _sampling_errors(figure: Figure, elements: int) -> tuple[float, float]:
    """Of a regression through the origin whose residual is as large as the cosine says."""
    sine = math.sqrt(1 - figure.cosine**2)
    root = math.sqrt(elements)
    return figure.alpha * sine / figure.cosine / root, figure.cosine * sine**2 / root
