"""Who is measured: each contender in a file, each doing the same whole job against the same simulated API."""
