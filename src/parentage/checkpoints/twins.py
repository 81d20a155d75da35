"""Whether two checkpoints hold the same weights, byte for byte, though they are two sets of files."""

from __future__ import annotations

import hashlib

from parentage.checkpoints.checkpoint import Checkpoint

__all__ = ["same_weights"]

# Fine-tunes differ nearly everywhere: 4 kB from each of 64 places tells them apart without reading
# on. What passes this is compared whole.
PROBES = 64
PROBE_BYTES = 4096


def same_weights(first: Checkpoint, second: Checkpoint) -> bool:
    """Equal names, dtypes, shapes and bytes of all tensors, whatever files they lie in.

    Raises ``ReadError``. Reads little of two models that differ, all of two that do not; of remote ones
    it believes the published digests.
    """
    if not first.tensors or _layout(first) != _layout(second):
        return False
    if first.remote or second.remote:
        return _published(first) == _published(second) and _probes_agree(first, second)
    return _probes_agree(first, second) and all(
        _digest(first, name) == _digest(second, name) for name in first.tensors
    )


def _layout(checkpoint: Checkpoint) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(t.name, t.stored_as, t.shape) for t in checkpoint.tensors.values()]


def _published(checkpoint: Checkpoint) -> list[str] | Checkpoint:
    """Digests of all files as published; the checkpoint itself, equal to no other, where one is missing."""
    digests = [s.published_sha256 for s in checkpoint.shards]
    return sorted(digests) if all(digests) else checkpoint


def _probes_agree(first: Checkpoint, second: Checkpoint) -> bool:
    names = [n for n, t in first.tensors.items() if t.elements]
    step = max(1, len(names) // PROBES)
    return all(_probe(first, n) == _probe(second, n) for n in names[::step])


def _probe(checkpoint: Checkpoint, name: str) -> bytes:
    tensor = checkpoint.tensors[name]
    count = min(tensor.elements, PROBE_BYTES // tensor.dtype.itemsize)
    return checkpoint.read(tensor, (tensor.elements - count) // 2, count).tobytes()


def _digest(checkpoint: Checkpoint, name: str) -> bytes:
    tensor, digest = checkpoint.tensors[name], hashlib.sha256()
    step = 2**23 // tensor.dtype.itemsize
    for start in range(0, tensor.elements, step):
        digest.update(checkpoint.read(tensor, start, min(step, tensor.elements - start)).tobytes())
    return digest.digest()
