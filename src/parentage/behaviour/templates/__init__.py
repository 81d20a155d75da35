"""Chat templates: read as syntax, rendered in a sandbox of a process of its own."""
