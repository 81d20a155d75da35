"""Tests that decide: a stored blend or a sum of relatives, and what else explains the same."""
