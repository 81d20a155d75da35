"""A Report, and nothing else, to terminal, JSON and HTML."""
