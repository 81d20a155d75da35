"""The ids of all relations between models; ``docs/relations.md`` defines each."""

from __future__ import annotations

from typing import Final

__all__ = ["MERGES", "RELATIONS"]

RELATIONS: tuple[str, ...] = (
    "copy",
    "cast-copy",
    "quantized-copy",
    "linear-merge",
    "slerp-merge",
    "task-arithmetic-merge",
    "ties-merge",
    "dare-merge",
    "della-merge",
    "breadcrumbs-merge",
    "model-stock-merge",
    "sce-merge",
    "arcee-fusion-merge",
    "nearswap-merge",
    "spherical-merge",
    "mixed-merge",
    "passthrough-merge",
    "adapter-fine-tune",
    "abliteration",
    "upcycled-moe",
    "fine-tune",
    "same-run-checkpoint",
    "shared-ancestor",
    "independent",
    "undetermined",
)
# Merges by a rule over the numbers of several models; layers taken over whole are another thing.
MERGES: Final = frozenset(
    {
        "linear-merge",
        "slerp-merge",
        "task-arithmetic-merge",
        "ties-merge",
        "dare-merge",
        "della-merge",
        "breadcrumbs-merge",
        "model-stock-merge",
        "sce-merge",
        "arcee-fusion-merge",
        "nearswap-merge",
        "spherical-merge",
        "mixed-merge",
    }
)
