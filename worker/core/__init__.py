"""The pure core: what a photo is, what its keys are and what follows each outcome. No I/O, no clock, no randomness."""
