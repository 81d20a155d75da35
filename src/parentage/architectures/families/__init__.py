"""Families of models: one file each says how a family names the parts of a layer."""
