"""When a supported relation excludes what somebody claims, and when both can be true.

A claim is contradicted only where no reading of it agrees with what the weights say. Two rules can give
the same arithmetic (a slerp of nearly parallel tensors is a linear merge, and so is task arithmetic),
and a claim may be about models that were not on the table.
"""

from __future__ import annotations

from collections.abc import Mapping

from parentage.records.relations import MERGES

__all__ = ["contradicts"]

_COPIES = frozenset({"copy", "cast-copy", "quantized-copy"})
_TUNED = frozenset({"fine-tune", "adapter-fine-tune", "abliteration", "upcycled-moe"})
_APART = frozenset({"independent"})

# For each relation that can be supported: the claims that are false when it is true.
_EXCLUDED: Mapping[str, frozenset[str]] = {
    "copy": MERGES | _TUNED | _APART,
    "cast-copy": MERGES | _TUNED | _APART,
    "quantized-copy": MERGES | _TUNED | _APART,
    "linear-merge": _COPIES | _APART | {"passthrough-merge"},
    "passthrough-merge": _COPIES | _APART,
    # A parent that was not listed leaves a merge that looks like a change of the one that was.
    "fine-tune": _COPIES | _APART,
    "adapter-fine-tune": _COPIES | _APART,
    "shared-ancestor": _COPIES | _APART | {"linear-merge", "fine-tune"},
    "independent": _COPIES | MERGES | _TUNED | {"same-run-checkpoint", "shared-ancestor"},
}
# A merge that nothing was done to afterwards is no training of anybody's.
_EXCLUDED_WITHOUT_TRAINING: Mapping[str, frozenset[str]] = {
    "linear-merge": _TUNED | {"same-run-checkpoint", "shared-ancestor"},
}


def contradicts(relation: str, later_change: str, claim: str) -> bool:
    """Whether a supported ``relation``, with this status of later change, excludes the claim."""
    excluded = _EXCLUDED.get(relation, frozenset())
    if later_change == "not-detected":
        excluded |= _EXCLUDED_WITHOUT_TRAINING.get(relation, frozenset())
    return claim in excluded
