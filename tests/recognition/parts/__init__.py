"""Merges in parts, and with numbers that run over the model."""
