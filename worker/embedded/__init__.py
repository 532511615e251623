"""Servers that `stagecrew run` and the tests bring along: a real Redis or Valkey, without root."""
