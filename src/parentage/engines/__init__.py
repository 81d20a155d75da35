"""Where work on tensors runs."""
