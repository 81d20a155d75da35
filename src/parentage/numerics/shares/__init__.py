"""Intervals for shares, and many comparisons judged together."""
