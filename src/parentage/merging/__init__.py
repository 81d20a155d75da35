"""A recipe, the plan of a merge, and the labelled checkpoint that comes of it."""
