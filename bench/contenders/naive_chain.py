"""Runs the naive Celery chain (`naive_app.py`): the same number of worker processes and threads as stagecrew has."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from celery import Celery
from redis import Redis

from bench.contenders.contender import (
    LOOK_S,
    Deadline,
    Look,
    RunFailed,
    Spent,
    environ_of,
    log_tail,
    read_completions,
)
from bench.meter import Meter
from bench.work import Work
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import RunningRedis, embedded_redis

START_S: Final = 60.0
#: Not `python -m`: its tasks would be named after `__main__`.
_ENQUEUE: Final = "from bench.contenders.naive_app import main; main()"


class NaiveChain:
    """The contender."""

    name = "chain"
    title = "naive Celery chain"

    def run(self, work: Work, look: Look) -> Spent:
        """Start workers, enqueue, wait for the last completion. Raises RunFailed."""
        folder = Path(work.folder)
        log = folder / "log.txt"
        with contextlib.ExitStack() as stack:
            redis = stack.enter_context(embedded_redis(folder / "redis"))
            environ = environ_of(
                {"BENCH_WORK": work.to_json(), "BENCH_REDIS_URL": redis.url, "BENCH_BROKER_URL": redis.broker_url}
            )
            pids: dict[int, str] = {redis.pid: "redis"} if redis.pid else {}
            for number in range(work.workers):
                with log.open("ab") as output:
                    command = [sys.executable, "-m", "celery", "-A", "bench.contenders.naive_app", "worker"]
                    options = ["--pool", "threads", "--concurrency", str(work.hands), "-n", f"naive-{number}@%h"]
                    worker = spawn([*command, *options], environ=environ, output=output)
                stack.callback(stop, worker, within_s=20)
                pids[worker.pid] = "worker"
            _wait_for_workers(redis.broker_url, work.workers, log)
            meter, began_s = Meter(pids), time.monotonic()
            enqueuer = stack.enter_context(_enqueuer(environ, log))
            _wait(redis, work, log, look, enqueuer)
            seconds, usage = time.monotonic() - began_s, meter.read()
            # It waits for the last chain's result when the photos are staged one by one.
            enqueuer.wait(START_S)
        begun_ms, done_ms = read_completions(work)
        return Spent(seconds=seconds, completed=len(done_ms), usage=usage, begun_ms=begun_ms, done_ms=done_ms)


@contextlib.contextmanager
def _enqueuer(environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = spawn([sys.executable, "-c", _ENQUEUE], environ=environ, output=output)
    try:
        yield process
    finally:
        stop(process, within_s=5)


def _wait_for_workers(broker_url: str, count: int, log: Path) -> None:
    deadline = Deadline("the naive chain's workers", log, START_S)
    with Celery(broker=broker_url) as app:
        while len(app.control.ping(timeout=0.5) or []) < count:
            deadline.check()


def _wait(redis: RunningRedis, work: Work, log: Path, look: Look, enqueuer: subprocess.Popen[bytes]) -> None:
    deadline = Deadline("the naive chain", log)
    with Redis.from_url(redis.url) as client:
        while (done := int(client.xlen("completions"))) < work.photos:
            if enqueuer.poll() not in {None, 0}:
                raise RunFailed(f"the naive chain was not enqueued; the end of its log:\n{log_tail(log)}")
            look(done)
            deadline.check(done)
            time.sleep(LOOK_S)
