"""Image-model mergers write what they did into a weight file's metadata: ``sd_merge_recipe`` and
``sd_merge_models`` (stable-diffusion-webui, ``modules/extras.py``). Read as claims; nothing of it is run.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.records.absence import Absent
from parentage.records.merge_claims import ClaimedModel, MergeClaim

__all__ = ["merge_claims"]

RECIPE: Final = "sd_merge_recipe"
MODELS: Final = "sd_merge_models"
MOST_TEXT: Final = 2**20
MOST_MODELS: Final = 64
LONGEST: Final = 120
SHA256: Final = re.compile(r"[0-9a-f]{64}")
ROLES: Final = ("primary", "secondary", "tertiary")
UNNAMED: Final = Absent("the metadata does not name it")
NO_DIGEST: Final = Absent("the metadata gives no SHA-256 of it")
NO_NUMBER: Final = Absent("the metadata gives no number")


def merge_claims(checkpoint: Checkpoint) -> tuple[MergeClaim, ...]:
    """What the metadata says, the recipe's own models first, then others that are listed.

    Empty where it says nothing that can be read.
    """
    recipe = _table(checkpoint.metadata.get(RECIPE))
    listed = _table(checkpoint.metadata.get(MODELS))
    if not recipe and not listed:
        return ()
    models = [m for role in ROLES if (m := _in_recipe(recipe, role, listed)) is not None]
    told = {m.sha256 for m in models if isinstance(m.sha256, str)}
    models += [
        ClaimedModel("listed", _name(entry), digest)
        for digest, entry in list(listed.items())[:MOST_MODELS]
        if SHA256.fullmatch(digest) and digest not in told
    ]
    key = RECIPE if recipe else MODELS
    return (
        MergeClaim(
            key,
            _text(recipe.get("type")) or "a merger that is not named",
            _text(recipe.get("interp_method")) or "a method that is not named",
            _number(recipe.get("multiplier")),
            tuple(models),
        ),
    )


def _table(text: str | None) -> Mapping[str, Any]:
    if text is None or len(text) > MOST_TEXT:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_recipe(recipe: Mapping[str, Any], role: str, listed: Mapping[str, Any]) -> ClaimedModel | None:
    digest = recipe.get(f"{role}_model_hash")
    if not isinstance(digest, str) or not digest:
        return None
    digest = digest.lower()
    sha256 = digest if SHA256.fullmatch(digest) else NO_DIGEST
    return ClaimedModel(role, _name(listed.get(digest)), sha256)


def _name(entry: object) -> str | Absent:
    return (_text(entry.get("name")) if isinstance(entry, dict) else "") or UNNAMED


def _text(value: object) -> str:
    """Printable, in one line, and short: it is shown as somebody wrote it."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:LONGEST]).strip()


def _number(value: object) -> float | Absent:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and isinstance(value, int | float) else NO_NUMBER
