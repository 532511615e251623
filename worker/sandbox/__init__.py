"""A simulator of the Katalo API over real HTTP, written from the contract alone.

It imports nothing of the rest of stagecrew (an import rule holds that), so that both can be wrong in different ways.
"""

from worker.sandbox.config import READINGS, Faults, Readings, SandboxConfig

__all__ = ["READINGS", "Faults", "Readings", "SandboxConfig"]
