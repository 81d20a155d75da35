"""Merge methods beside linear blends: what a replay or a finding of the recognition pass carries."""
