"""Roles and alignment from names alone."""
