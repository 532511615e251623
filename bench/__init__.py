"""The benchmarks: `make bench` or `stagecrew bench`. What they gave is in `docs/benchmarks.md`, which they write."""
