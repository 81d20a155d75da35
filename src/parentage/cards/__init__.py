"""What a merge says of itself: shard metadata, model card, statements that machines read."""
