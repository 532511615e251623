"""What every sink is: it takes a few messages in one call, and says of each what became of it.

A sink never raises for what its other side does: it answers with an `Outcome`. Its calls end within `DEADLINE_S`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from worker.core.delivery import Outcome
from worker.ledger.outbox import Letter

#: The longest one call of a sink takes, in seconds.
DEADLINE_S: Final = 15.0


class Sink(Protocol):
    """One sink with an outbox. `send` may be called again while it runs, with messages of other listings."""

    @property
    def name(self) -> str:
        """The sink's name: of its outbox, in `status`, in the CLI."""

    @property
    def batch(self) -> int:
        """How many messages one call takes."""

    @property
    def calls(self) -> int:
        """How many calls may run at once."""

    async def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Deliver messages of different listings; return what became of each, in their order."""

    async def check(self) -> Outcome:
        """Return how the sink is without sending anything: delivered for well, down, or retry for "can't tell"."""

    async def aclose(self) -> None:
        """Close all connections."""
