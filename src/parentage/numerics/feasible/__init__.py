"""Weights that the rounding cells allow, and the simple numbers among them."""
