"""Tensor roles, name maps, the alignment of checkpoints."""
