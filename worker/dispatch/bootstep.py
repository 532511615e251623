"""Starts and stops this process's loop and dispatcher with the Celery worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps, signals

from config.accounts import DEFAULT
from config.celeryconfig import queue_of
from worker import process
from worker.core.photo import StepName
from worker.dispatch.request import shown
from worker.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.process import Process

logger = logging.getLogger(__name__)

#: The exit code of wrong settings (`worker/cli/exits.py`).
CANT_START: Final = 2


class ProcessStep(bootsteps.StartStopStep):
    """Starts before the consumer, so that tasks find their loop; ends after the pool, so that running steps can settle.

    Celery orders its parts by what each requires, and otherwise anew in each process; so the end of the pool is waited
    for here, whichever of the two it stops first.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        """Take the worker that Celery is building."""
        super().__init__(parent, **kwargs)
        self._process: Process | None = None

    def include_if(self, parent: Any) -> bool:  # noqa: ARG002 - Celery's signature
        """Every worker process carries a dispatcher."""
        return True

    def create(self, parent: Any) -> Any:
        """Celery starts what `create` returns; the step itself is the service."""
        parent.stagecrew = self
        return self

    def start(self, parent: Any) -> None:
        """Open the services and begin to dispatch."""
        if self._process is not None:
            return
        app = parent.app

        def publish(account: str, step: StepName, photos: Sequence[tuple[str, str, str]]) -> None:
            # Workers of a release that knew one account only take the message of that one, without its name.
            named = {} if account == DEFAULT else {"account": account}
            leases = [list(photo) for photo in photos]
            app.send_task(
                f"stagecrew.{step}",
                args=[leases],
                kwargs=named,
                queue=queue_of(account),
                ignore_result=True,
                argsrepr=shown(label for _, _, label in photos),
            )

        try:
            self._process = process.start(app.conf.stagecrew_settings, name=parent.hostname, publish=publish)
        except (StoreError, OSError) as error:
            # It says what to put right; a traceback says nothing more, and Celery would make it a defect.
            logger.error("the worker can't start", extra={"reason": str(error)})  # noqa: TRY400
            raise SystemExit(CANT_START) from None
        signals.worker_shutting_down.connect(self._drain, weak=False)

    def stop(self, parent: Any) -> None:
        """Close everything once the pool's tasks have ended."""
        if self._process is not None and parent.pool is not None:
            # Nothing happens where it has stopped already.
            parent.pool.stop()
        self.terminate(parent)

    def terminate(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Close everything at once, as at a cold shutdown; leases that are still open run out."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _drain(self, **_: Any) -> None:
        if self._process is not None:
            self._process.drain()
