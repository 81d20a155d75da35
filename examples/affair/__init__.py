"""The affair in miniature: one merge, as it was uploaded and as it was claimed (docs/affair.md)."""
