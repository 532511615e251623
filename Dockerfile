# One image for every kind of process; the command says which. It runs as nobody in particular, on a read-only root with
# a writable /tmp, and each service has a health check of its own kind (docs/deployment.md).

FROM python:3.11-slim AS build
WORKDIR /app
RUN python -m venv /app/.venv && /app/.venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check uv==0.13.9
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
LABEL org.opencontainers.image.title="stagecrew" \
      org.opencontainers.image.description="Has property photos staged by the Katalo API, exactly once each" \
      org.opencontainers.image.licenses="MIT"
# Nothing in the image belongs to who runs it, so nothing of it can be changed.
RUN groupadd --gid 10001 stagecrew \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stagecrew
WORKDIR /app
COPY --from=build /app/.venv .venv
# Flower takes its settings from a file by its path.
COPY config/flowerconfig.py config/flowerconfig.py
# A worker touches the file each second; compose and Kubernetes look at its age.
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STAGECREW_LOG_FORMAT=json \
    STAGECREW_ALIVE_FILE=/tmp/stagecrew-alive
# For whoever starts the image by itself: a worker whose loop has stopped has an old file, and other kinds have none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["sh", "-c", "test ! -e /tmp/stagecrew-alive || test -n \"$(find /tmp/stagecrew-alive -newermt '30 seconds ago')\""]
# By its number, so that an orchestrator can see that it is not root.
USER 10001
# A worker settles what it has begun: give it time (`docker stop --time 60`).
STOPSIGNAL SIGTERM
CMD ["stagecrew", "worker"]
