"""Two models compared without a hypothesis."""
