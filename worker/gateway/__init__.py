"""The ASGI app beside the workers: webhooks of the API, health, metrics. Any number of it may run."""
