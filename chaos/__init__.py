"""The chaos suite: a real fleet under faults of every kind, and a checker that reads the books afterwards."""
