"""Frozen types that cross rooms, and the versioned JSON of every file that we write."""
