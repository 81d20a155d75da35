"""Merge values worked by hand."""
