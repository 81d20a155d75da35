"""Reading: the same bits whatever the sharding, the slice or the dtype."""
