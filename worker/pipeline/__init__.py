"""One verb a file: what each step does with one photo. Every verb is `(services, photo) -> Step`."""

from __future__ import annotations


class LeaseLost(Exception):  # noqa: N818 - it is a fact, not an error
    """The lease is somebody else's by now: the step stops, calls nothing more and settles nothing."""
