"""Floor 0: mechanism without domain."""
