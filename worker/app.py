"""The Celery app of the fleet: `celery -A worker.app worker`, `celery -A worker.app flower`."""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

from config.celeryconfig import celery_settings
from config.settings import load_settings
from worker import logs
from worker.dispatch.bootstep import ProcessStep
from worker.dispatch.signing import sign_messages

settings = load_settings()
app = Celery("stagecrew", include=["tasks.photo", "tasks.enqueue"])
app.config_from_object(celery_settings(settings))
app.conf.stagecrew_settings = settings
app.steps["worker"].add(ProcessStep)
if settings.message_key is not None:
    sign_messages(settings.message_key)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    """Take logging over from Celery, so that every process logs alike and masked."""
    logs.set_up(settings.log_level, settings.log_format)
