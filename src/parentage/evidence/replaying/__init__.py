"""Which recipe, under which arithmetic: replayed bit for bit, and what lies off it."""
