"""How wide a tensor's weights are, and how far a fine-tune moved them, by part of the model.

The sizes are those at which least squares shows the published pairs of weight and cosine when the blend is
4/7, found by simulation over sizes and spreads: to .001, but for the cosines of the routers of layers 15
and 30 (.965 for .962, .969 for .967). That needs deltas spread evenly between their ends; with Gaussian
ones no size gives readings below 4/7, and the published .567 and .568 stay .004 away (docs/cases/rio.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Scale", "scale_of"]


@dataclass(frozen=True, slots=True)
class Scale:
    """``centre`` and ``spread`` of the weights; ``delta``: the sd of a fine-tune's change, over that of the
    weights, or over their centre where they have one."""

    spread: float
    delta: float
    centre: float = 0.0


# Gains near 1 whose least-squares weight is about .9.
GAIN = Scale(0.1, 0.0039, 1.0)
# (layer, delta, spread) of the routers and gates that were published; those between are interpolated.
ROUTERS = (
    (0, 0.0230, 0.020),
    (15, 0.0092, 0.026),
    (30, 0.0104, 0.024),
    (45, 0.0178, 0.016),
    (59, 0.0400, 0.024),
)
GATES = ((0, 0.0380, 0.024), (30, 0.0184, 0.024), (59, 0.0184, 0.024))
_LAYER = re.compile(r"\.layers\.(\d+)\.")
_RULES: tuple[tuple[re.Pattern[str], Scale], ...] = tuple(
    (re.compile(pattern), scale)
    for pattern, scale in (
        (r"norm\d?\.weight$", GAIN),
        (r"\.A_log$", Scale(0.5, 0.01, 1.5)),
        (r"\.dt_bias$", Scale(0.5, 0.01, 1.0)),
        (r"\.bias$", Scale(0.02, 0.02)),
        (r"\.visual\.", Scale(0.02, 0.02)),
        (r"lm_head", Scale(0.016, 0.0210)),
        (r"embed_tokens", Scale(0.017, 0.018)),
        (r"self_attn", Scale(0.026, 0.0172)),
        (r"linear_attn", Scale(0.024, 0.0154)),
        (r"experts\.|shared_expert\.", Scale(0.018, 0.0250)),
        (r".", Scale(0.02, 0.02)),
    )
)


def scale_of(name: str, layers: int = 60) -> Scale:
    """Of a tensor, by its name; depth counts in 60ths, so a miniature has the same ends."""
    found = _LAYER.search(name)
    depth = int(found[1]) * 59 / max(layers - 1, 1) if found else 0.0
    if name.endswith("mlp.gate.weight"):
        return _between(ROUTERS, depth)
    if name.endswith("shared_expert_gate.weight"):
        return _between(GATES, depth)
    return next(scale for pattern, scale in _RULES if pattern.search(name))


def _between(points: tuple[tuple[int, float, float], ...], depth: float) -> Scale:
    """On a line between the published layers; the spread of the nearer one."""
    for (low, first, near), (high, second, far) in pairwise(points):
        if depth <= high:
            share = (depth - low) / (high - low)
            return Scale(near if share < 0.5 else far, first + (second - first) * share)
    raise ValueError(depth)
