"""Pin an input: where it was, which bytes it had, what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.digests import digest_shard
from parentage.engines.threads import map_ordered
from parentage.records.absence import Absent
from parentage.records.evidence import ModelPin, ModelRole, ShardPin
from parentage.records.tensors import ShardRef

__all__ = ["NOT_PUBLISHED", "pin_models"]

NOT_HASHED = Absent("not hashed: --no-digests was given")
NOT_PUBLISHED = Absent("not hashed: only a part was read, and its place publishes no digest")
MEBIBYTE = 2**20


def pin_models(
    models: Sequence[tuple[str, ModelRole, Checkpoint]],
    *,
    digests: bool,
    workers: int,
    progress: Callable[[str, int, int], None],
) -> list[ModelPin]:
    """Sizes and, unless declined, the digests of every weight file of every model: computed where it is
    local, as published where it is read over a network."""
    shards = [(checkpoint, shard) for _, _, checkpoint in models for shard in checkpoint.shards]
    total = sum(shard.size for checkpoint, shard in shards if not checkpoint.remote) // MEBIBYTE
    done = 0

    def work(item: tuple[Checkpoint, ShardRef]) -> ShardPin:
        checkpoint, shard = item
        if checkpoint.remote:
            # The place's own digest pins the file; to compute one would read all of it.
            return ShardPin(shard.name, shard.size, shard.published_sha256 or NOT_PUBLISHED)
        if not digests:
            return ShardPin(shard.name, shard.size, NOT_HASHED)
        found = digest_shard(checkpoint, shard)
        if checkpoint.by_range:  # what was pinned over a network has the file's digest alone
            return ShardPin(shard.name, shard.size, found.sha256)
        return ShardPin(shard.name, shard.size, found.sha256, found.checksums)

    pins = []
    for pin in map_ordered(work, shards, workers=workers):
        pins.append(pin)
        done += pin.size if pin.checksums else 0
        progress("hashing inputs (MiB)", done // MEBIBYTE, total)
    ordered = iter(pins)
    return [_pin(name, role, c, [next(ordered) for _ in c.shards]) for name, role, c in models]


def _pin(name: str, role: ModelRole, checkpoint: Checkpoint, shards: list[ShardPin]) -> ModelPin:
    revision = checkpoint.revision
    return ModelPin(
        name=name,
        role=role,
        locator=checkpoint.locator,
        revision=Absent("a local folder has no revision") if revision is None else revision,
        shards=tuple(shards),
        declared=declared_sources(checkpoint),
        oddities=tuple(checkpoint.oddities),
    )
