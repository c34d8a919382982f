"""Floor 2: broker, decoding, gate, journal, readings store."""
