"""Ranks, thin products, spectra and assignments of rows."""
