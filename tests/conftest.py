"""What all tests share: one real Redis a test process, emptied for each test that asks for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from redis import Redis

from config.settings import Settings, load_settings
from worker.embedded.redis_server import RunningRedis, embedded_redis


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests with a real key in the environment stages nothing with it."""
    import os

    for name in [name for name in os.environ if name.startswith(("STAGECREW_", "KATALO_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that is run in this process sets up logging for all of it; the next test starts without that."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRedis]:
    """A server of this test process's own, on a private socket. Tests that end it use one of their own."""
    with embedded_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis_url(redis_server: RunningRedis) -> str:
    """The URL of an empty Redis."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
        # Scripts that are loaded already would hide that one is not.
        client.script_flush()
    return redis_server.url


@pytest.fixture
def settings(redis_url: str, tmp_path: object) -> Settings:
    """Settings with an empty Redis and a store of their own."""
    return load_settings(
        {
            "STAGECREW_REDIS_URL": redis_url,
            "STAGECREW_STORAGE_URL": f"file://{tmp_path}/output",
            "STAGECREW_STATE_DIR": f"{tmp_path}/state",
        }
    )
