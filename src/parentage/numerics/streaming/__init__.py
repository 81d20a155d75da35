"""Compiled loops over raw storage bits, a block at a time."""
