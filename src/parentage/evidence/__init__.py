"""Measures over aligned tensors, streamed; measures, never judges."""
