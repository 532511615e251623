"""Measurements, each repeatable by one command; what they gave is in `docs/benchmarks.md`."""
