"""The Celery tasks: one file is the whole journey of a photo."""
