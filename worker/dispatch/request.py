"""Messages as Flower and `celery inspect` see them.

Of our own steps they see which photos are in them, every one, whatever the size of the batch, and no lease token. Of
another program's message they see no signed address.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery.worker.request import Request

from worker.katalo.masking import clean


def shown(labels: Iterable[str]) -> str:
    """Return the arguments of a step for people: `listing/photo` each, one a line, in order.

    Celery's own text of them would be keys and tokens as well, and be cut after a few photos.
    """
    return ",\n".join(sorted(labels))


class MaskedRequest(Request):
    """Shows what the producer said of its arguments, cut short and without the queries of URLs."""

    #: Celery's own, which its types leave out.
    _argsrepr: Any
    _kwargsrepr: Any

    @property
    def argsrepr(self) -> str:
        """The positional arguments, for people."""
        return clean(str(self._argsrepr))

    @property
    def kwargsrepr(self) -> str:
        """The named arguments, for people."""
        return clean(str(self._kwargsrepr))

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return what `inspect` shows; never the arguments themselves."""
        return {**super().info(safe=True), "args": self.argsrepr, "kwargs": self.kwargsrepr}
