"""Text from a local model: ordinary decoding, and SwiReasoning."""
