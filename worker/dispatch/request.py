"""A message of another program as Flower and `celery inspect` see it: a signed address in it is not shown."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from worker.katalo.masking import clean


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
