"""The load of `python -m bench.gateway` meets a gateway that runs with nothing but what the benchmark sets."""

from __future__ import annotations

import os

import httpx
import pytest

from bench.gateway import serving
from worker.katalo.callback import ROUTE


def test_a_gateway_that_warns_of_what_is_not_set_is_served_all_the_same(redis_url: str) -> None:
    core = min(os.sched_getaffinity(0))
    with serving({**os.environ, "STAGECREW_REDIS_URL": redis_url}, core) as (address, pid):
        assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}
        assert httpx.post(f"{address}{ROUTE}", content=b"{}").status_code == 503, "it has no secret"
        assert pid > 0


def test_a_gateway_that_does_not_start_says_why(redis_url: str) -> None:
    core = min(os.sched_getaffinity(0))
    environ = {**os.environ, "STAGECREW_REDIS_URL": redis_url, "STAGECREW_GATEWAY_PORT": "none"}
    with pytest.raises(RuntimeError, match="STAGECREW_GATEWAY_PORT"), serving(environ, core):
        pass
