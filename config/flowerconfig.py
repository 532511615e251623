"""Flower's settings: `celery -A worker.app flower --conf=config/flowerconfig.py`.

Flower must be given the app, as above: with defaults of its own it would put other workers' running messages back.
"""

from config.settings import load_settings

_auth = load_settings().flower_auth
if _auth is None:
    # Nobody is asked who they are, so nobody else may come.
    address = "127.0.0.1"
else:
    basic_auth = [_auth.get_secret_value()]
port = 5555
# The tasks list is a window on the latest work, not the truth: `stagecrew status` is. 5 KB a task.
max_tasks = 10000
