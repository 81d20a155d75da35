"""The rows of the published table, read off an evidence: rounding cells beside least squares.

Each row pools the tensors that its name says. Its interval is what the cells of all its tensors leave; its
least-squares weight and cosine are those of all its examined elements together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PUBLISHED", "Row", "as_table", "rows_of"]

# Name, pattern of the tensors' names, published weight and cosine (the norms' cosine was not published).
_AT = r"\.layers\.{}\.mlp\.{}\.weight$"
PUBLISHED: tuple[tuple[str, str, float, float | None], ...] = (
    ("experts", r"^model\..*\.mlp\.experts\.", 0.571, 0.993),
    ("lm_head", r"^lm_head", 0.574, 0.991),
    ("attention", r"^model\.language.*\.self_attn\..*_proj", 0.585, 0.986),
    ("linear attention", r"\.linear_attn\.(in|out)_proj", 0.586, 0.984),
    ("router, layer 0", _AT.format(0, "gate"), 0.573, 0.992),
    ("router, layer 15", _AT.format(15, "gate"), 0.647, 0.962),
    ("router, layer 30", _AT.format(30, "gate"), 0.627, 0.967),
    ("router, layer 45", _AT.format(45, "gate"), 0.582, 0.987),
    ("router, layer 59", _AT.format(59, "gate"), 0.567, 0.997),
    ("shared-expert gate, layer 0", _AT.format(0, "shared_expert_gate"), 0.568, 0.997),
    ("shared-expert gate, layer 30", _AT.format(30, "shared_expert_gate"), 0.581, 0.988),
    ("layer norms", r"^model\.language.*layernorm", 0.9, None),
)
_TRUNK = re.compile(r"^(?!mtp\.)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``low``, ``high``: weights that every element allows, None where no tensor is consistent."""

    name: str
    tensors: int
    elements: int
    low: float | None
    high: float | None
    inconsistent: int
    weight: float
    cosine: float
    published: tuple[float, float | None] | None


def rows_of(evidence: Mapping[str, Any]) -> list[Row]:
    """Published rows first, then what no row names; those without tensors are left out."""
    left = [t for t in evidence["tensors"] if _mixture(t) is not None]
    found = []
    for name, pattern, weight, cosine in PUBLISHED:
        members = [t for t in left if _TRUNK.match(t["name"]) and re.search(pattern, t["name"])]
        left = [t for t in left if t not in members] if members else left
        if members:
            found.append(_row(name, members, (weight, cosine)))
    return [*found, _row("all other tensors", left, None)] if left else found


def _mixture(tensor: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The suspect between the first two parents, as stored."""
    for found in tensor["mixtures"]:
        if (found["subject"], found["first"], found["second"]) == (0, 1, 2):
            mixture: Mapping[str, Any] = found
            return mixture
    return None


def _row(
    name: str, members: Sequence[Mapping[str, Any]], published: tuple[float, float | None] | None
) -> Row:
    mixtures = [m for t in members if (m := _mixture(t)) is not None and m["informative"]]
    whole = [m for m in mixtures if m["consistency"] == 1.0]
    delta = moved = both = 0.0
    for tensor in members:
        one, cross, two = _sums(tensor)
        delta, both, moved = delta + one, both + cross, moved + two
    return Row(
        name,
        len(members),
        sum(t["examined"] for t in members),
        max((m["low"] for m in whole), default=None),
        min((m["high"] for m in whole), default=None),
        len(mixtures) - len(whole),
        both / delta if delta else math.nan,
        both / math.sqrt(delta * moved) if delta * moved else math.nan,
        published,
    )


def _sums(tensor: Mapping[str, Any]) -> tuple[float, float, float]:
    """Σ(A-B)², Σ(A-B)(C-B), Σ(C-B)², from the products of A-C and B-C."""
    (aa, ab), (_, bb) = ([*row[:2]] for row in tensor["gram"][:2])
    return aa - 2 * ab + bb, bb - ab, bb


def as_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = [
        "| part | tensors | numbers read | weight by rounding cells | least squares | published |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*head, *(_line(r) for r in rows)])


def _line(row: Row) -> str:
    cells = "none fits all" if row.low is None else f"{row.low:.6f} to {row.high:.6f}"
    if row.inconsistent and row.low is not None:
        cells += f" ({row.inconsistent} changed)"
    published = "" if row.published is None else f"{row.published[0]:.3f}"
    if row.published is not None and row.published[1] is not None:
        published += f" / {row.published[1]:.3f}"
    least = f"{row.weight:.4f} / {row.cosine:.4f}"
    return f"| {row.name} | {row.tensors:,} | {row.elements:,} | {cells} | {least} | {published} |"
