"""Models that nobody published: those on the line between two, and those that a search of recipes makes."""
