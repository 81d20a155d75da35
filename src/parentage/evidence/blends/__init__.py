"""Weighted sums of two parents and more: ranges, likelihoods, weights."""
