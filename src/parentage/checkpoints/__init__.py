"""Places and formats: named tensors read lazily, by slice, never executed."""
