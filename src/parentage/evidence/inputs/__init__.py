"""Which models, and where: opened once, pinned, their parts planned."""
