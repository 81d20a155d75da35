"""What a model card claims, read by rules that anyone can read: text in, claims with their places out."""
