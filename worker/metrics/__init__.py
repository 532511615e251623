"""Metrics: the table of all of them, what a worker counts, and the port on which it shows that."""
