"""What a reader must know of the inputs themselves: files not read, numbers that need their scales."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.measure import AuditInputs

__all__ = ["input_notes", "scaled_tensors"]

SHOWN = 8
# Beside ``x.weight`` in 8 bits: compressed-tensors and DeepSeek's layout, and that of image models.
SCALES = ("{name}_scale", "{name}_scale_inv", "{name}.scale", "{stem}.scale_weight")


def input_notes(inputs: AuditInputs) -> tuple[str, ...]:
    """One sentence for each thing, by the models' names, in their order."""
    return tuple(note for m in inputs.models for note in _notes(m.name, m.checkpoint))


def _notes(name: str, checkpoint: Checkpoint) -> Iterator[str]:
    scaled = scaled_tensors(checkpoint)
    if scaled:
        yield (
            f"{name}: the scales of tensors in 8 bits are not applied ({len(scaled):,}, the first "
            f"{scaled[0]}): what is compared are the stored numbers"
        )
    oddities = checkpoint.oddities
    yield from (f"{name}: {oddity}" for oddity in oddities[:SHOWN])
    if len(oddities) > SHOWN:
        yield f"{name}: and {len(oddities) - SHOWN:,} more oddities, which inspect lists"


def scaled_tensors(checkpoint: Checkpoint) -> list[str]:
    """Tensors in 8-bit floats whose scales lie beside them."""
    return [
        name
        for name, tensor in checkpoint.tensors.items()
        if tensor.dtype.is_float and tensor.dtype.itemsize == 1 and _has_scale(name, checkpoint)
    ]


def _has_scale(name: str, checkpoint: Checkpoint) -> bool:
    stem = name.removesuffix(".weight")
    return any(scale.format(name=name, stem=stem) in checkpoint.tensors for scale in SCALES)
