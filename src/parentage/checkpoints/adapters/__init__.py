"""Adapters over a base, read as the model that they make together."""
