"""Floor 7: settings, wiring and the command line."""
