"""The Celery app of the fleet: `celery -A worker.app worker`, `celery -A worker.app flower`."""

from __future__ import annotations

from celery import Celery

from config.celeryconfig import celery_settings
from config.settings import load_settings
from worker.dispatch.bootstep import ProcessStep

settings = load_settings()
app = Celery("stagecrew", include=["tasks.photo"])
app.config_from_object(celery_settings(settings))
app.stagecrew_settings = settings
app.steps["worker"].add(ProcessStep)
