"""Pin an input: where it was, which bytes it had, what it says of itself."""

from __future__ import annotations

from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.local import Checkpoint
from parentage.records.absence import Absent
from parentage.records.evidence import ModelPin, ModelRole, ShardPin

__all__ = ["pin_model"]

NOT_HASHED = Absent("not hashed: --no-digests was given")


def pin_model(name: str, role: ModelRole, checkpoint: Checkpoint, *, digests: bool) -> ModelPin:
    """Sizes and, unless declined, the SHA-256 of every weight file."""
    hashes = checkpoint.sha256() if digests else {}
    shards = tuple(
        ShardPin(shard.name, shard.size, hashes.get(shard.name, NOT_HASHED)) for shard in checkpoint.shards
    )
    revision = checkpoint.revision
    return ModelPin(
        name=name,
        role=role,
        locator=checkpoint.locator,
        revision=Absent("a local folder has no revision") if revision is None else revision,
        shards=shards,
        declared=declared_sources(checkpoint),
        oddities=tuple(checkpoint.oddities),
    )
