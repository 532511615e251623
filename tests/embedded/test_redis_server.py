"""The embedded Redis: private, durable, one a folder, gone with its parent."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from redis import Redis

from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import (
    RedisNotStarted,
    RunningRedis,
    embedded_redis,
    server_binary,
    start_redis,
)

ROOT = Path(__file__).parents[2]


def client_of(running: RunningRedis) -> Redis:
    return Redis.from_url(running.url, decode_responses=True)


def test_the_server_is_new_enough_and_keeps_what_it_is_given(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as running, client_of(running) as client:
        assert int(str(client.info("server")["redis_version"]).split(".")[0]) >= 7
        config = client.config_get("*")
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["port"] == "0"


def test_only_the_user_may_connect(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "state") as running:
        mode = Path(running.url.removeprefix("unix://")).stat().st_mode
        assert stat.S_IMODE(mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_data_outlives_a_kill(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as running:
        with client_of(running) as client:
            client.set("photo", "staged")
            client.execute_command("WAITAOF", 1, 0, 0)
        running.kill()
        running.restart()
        with client_of(running) as client:
            assert client.get("photo") == "staged"


def test_data_outlives_a_stop_and_a_later_start(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as running, client_of(running) as client:
        client.set("photo", "staged")
    with embedded_redis(tmp_path) as running, client_of(running) as client:
        assert client.get("photo") == "staged"


def test_a_restart_keeps_the_address(tmp_path: Path) -> None:
    with embedded_redis(tmp_path, tcp=True) as running:
        before, pid = running.url, running.pid
        running.restart()
        assert running.url == before
        assert running.pid != pid
        with client_of(running) as client:
            assert client.ping()


def test_a_port_can_be_had_instead_of_a_socket(tmp_path: Path) -> None:
    with embedded_redis(tmp_path, tcp=True) as running, client_of(running) as client:
        assert running.url == f"redis://127.0.0.1:{running.port}/0" == running.broker_url
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_celery_gets_the_socket_by_its_own_name(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as running:
        assert running.broker_url == f"redis+socket://{tmp_path}/redis.sock"


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with embedded_redis(folder) as running, client_of(running) as client:
        assert len(running.url.removeprefix("unix://")) <= 100
        assert client.config_get("dir")["dir"] == str(folder)


def test_the_second_to_come_uses_the_server_that_runs_and_leaves_it_running(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as first:
        with embedded_redis(tmp_path) as second:
            assert second.url == first.url
            assert second.pid is None
        with client_of(first) as client:
            assert client.ping()


def test_two_that_come_at_once_start_one_server(tmp_path: Path) -> None:
    both_ready, started = threading.Barrier(2), []

    def start() -> None:
        both_ready.wait()
        started.append(start_redis(tmp_path))
        # The server ends with the thread that started it, so both stay until both have looked.
        both_ready.wait()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sorted(running.pid is None for running in started) == [False, True]
    finally:
        for running in started:
            running.stop()


def test_a_strangers_server_is_not_taken_for_ours(tmp_path: Path) -> None:
    theirs = start_redis(tmp_path / "theirs", tcp=True)
    try:
        with pytest.raises(RedisNotStarted, match="another Redis"):
            start_redis(tmp_path / "ours", port=theirs.port)
    finally:
        theirs.stop()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way of the folder with the data")
    with pytest.raises(RedisNotStarted, match=r"(?s)did not start; the end of .*redis\.log:\n.*appendonlydir"):
        start_redis(tmp_path)


def test_a_server_on_the_path_is_taken_when_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = server_binary()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = tmp_path / "valkey-server"
    for version, taken in (("6.2.14", False), ("9.1.0", True)):
        found.write_text(f"#!/bin/sh\necho 'Server v={version} sha=0'\n")
        found.chmod(0o755)
        assert server_binary() == (found if taken else brought)


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from worker.embedded.redis_server import start_redis\n"
        "print(start_redis(Path(sys.argv[1])).pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        ended = os.pidfd_open(pid)
        try:
            parent.kill()
            # A pidfd becomes readable when its process has ended.
            readable, _, _ = select.select([ended], [], [], 20)
            assert readable
        finally:
            os.close(ended)


def test_a_child_that_ignores_the_request_to_end_is_killed() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    child = spawn([sys.executable, "-c", program], output=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"ready\n"
        assert stop(child, within_s=0.1) == -9
