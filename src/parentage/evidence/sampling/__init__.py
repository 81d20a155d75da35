"""What is read of each tensor, in which order, and when it is enough."""
