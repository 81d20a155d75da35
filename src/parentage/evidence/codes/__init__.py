"""What a suspect that holds codes shows: quantisers replayed from other models and from their blends."""
