"""Floor 1: the town and what stands in it."""
