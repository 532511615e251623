"""What we know of every photo, in Redis: rows changed only by compare-and-set scripts."""
