"""Digests of weight files and checksums of the tensors in them, in one reading."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.records.tensors import ShardRef, TensorRef

__all__ = ["ShardDigest", "digest_shard"]


@dataclass(frozen=True, slots=True)
class ShardDigest:
    """SHA-256 of the file, CRC-32 by tensor; both in hexadecimal."""

    sha256: str
    checksums: dict[str, str]


def digest_shard(
    checkpoint: Checkpoint, shard: ShardRef, progress: Callable[[int], None] | None = None
) -> ShardDigest:
    """Stream one weight file; raises ``read-changed`` when it was modified meanwhile."""
    stored = (*checkpoint.tensors.values(), *checkpoint.parts.values())
    inside = sorted((t for t in stored if t.shard == shard.name), key=lambda t: t.begin)
    whole, sums, first = hashlib.sha256(), {t.name: 0 for t in inside}, 0
    for offset, block in checkpoint.blocks(shard):
        whole.update(block)
        view, end = memoryview(block), offset + len(block)
        while first < len(inside) and inside[first].end <= offset:
            first += 1
        for tensor in _overlapping(inside, first, end):
            part = view[max(tensor.begin - offset, 0) : max(tensor.end - offset, 0)]
            sums[tensor.name] = zlib.crc32(part, sums[tensor.name])
        if progress is not None:
            progress(len(block))
    return ShardDigest(whole.hexdigest(), {name: f"{value:08x}" for name, value in sums.items()})


def _overlapping(tensors: list[TensorRef], first: int, end: int) -> list[TensorRef]:
    found = []
    for tensor in tensors[first:]:
        if tensor.begin >= end:
            break
        found.append(tensor)
    return found
