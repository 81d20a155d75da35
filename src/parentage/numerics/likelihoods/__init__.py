"""Likelihoods of weights through storage rounding, and searches for their maxima and intervals."""
