# One image for every kind of process; the command says which.

FROM python:3.11-slim AS build
WORKDIR /app
RUN python -m venv /app/.venv && /app/.venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
# What runs, at the versions and hashes of the lock; in a layer of its own, which changes seldom.
COPY requirements-run.lock ./
RUN /app/.venv/bin/uv pip install --python /app/.venv/bin/python --no-cache --require-hashes --compile-bytecode \
    -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY worker worker
COPY tasks tasks
RUN /app/.venv/bin/uv pip install --python /app/.venv/bin/python --no-cache --no-deps --compile-bytecode . \
    && /app/.venv/bin/uv pip uninstall --python /app/.venv/bin/python uv

FROM python:3.11-slim
# Nothing in the image belongs to who runs it, so nothing of it can be changed.
RUN useradd --system --uid 10001 --create-home stagecrew
WORKDIR /app
COPY --from=build /app/.venv .venv
# Flower takes its settings from a file by its path.
COPY config/flowerconfig.py config/flowerconfig.py
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 STAGECREW_LOG_FORMAT=json
USER stagecrew
# A worker settles what it has begun: give it time (`docker stop --time 60`).
STOPSIGNAL SIGTERM
CMD ["stagecrew", "worker"]
