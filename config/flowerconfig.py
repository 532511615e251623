"""Flower's settings: `celery -A worker.app flower --conf=config/flowerconfig.py`.

Flower must be given the app, as above: with defaults of its own it would put other workers' running messages back.
With this file it never puts any back, of whichever application on the broker; workers see to their own.
"""

import ast
from typing import Any

from celery import current_app

from config.settings import load_settings

_auth = load_settings().flower_auth
if _auth is None:
    # Nobody is asked who they are, so nobody else may come.
    address = "127.0.0.1"
else:
    basic_auth = [_auth.get_secret_value()]
port = 5555
# In seconds: ten years. Each of a broker's clients puts back what it takes for lost, by its own patience.
current_app.conf.broker_transport_options["visibility_timeout"] = 315_360_000
# The tasks list is a window on the latest work, not the truth: `stagecrew status` is. 5 KB a task.
max_tasks = 10000
# Photos last, because a batch has many; what became of each is on the task's own page.
tasks_columns = "name,uuid,state,received,runtime,worker,args"


def format_task(task: Any) -> Any:
    """Give a step's result as a line a photo; whatever else a result is stays as it is."""
    try:
        became = ast.literal_eval(task.result)
    except (AttributeError, TypeError, ValueError, SyntaxError):
        return task
    if isinstance(became, dict):
        task.result = "\n".join(f"{photo}: {what}" for photo, what in sorted(became.items()))
    return task
