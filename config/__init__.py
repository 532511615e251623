"""Settings of the whole application, and Celery's and Flower's own."""
