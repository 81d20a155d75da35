"""Hypotheses on how models are related, each weighed against its rivals."""
