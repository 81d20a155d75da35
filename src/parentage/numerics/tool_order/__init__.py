"""Arithmetic in the order of another tool's kernels, which a stored bit may hang on."""
