"""Measurements; each runs as `python -m benchmarks.NAME` from the root and prints one JSON line."""
