"""Merge methods recognised by replaying them: candidates are proposed, and whole tensors decide."""
