"""Merges whose numbers run over the model, or whose parts were made by different rules."""
