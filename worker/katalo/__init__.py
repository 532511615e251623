"""The door to the Katalo API: typed, one attempt a call; it neither sleeps nor retries."""
