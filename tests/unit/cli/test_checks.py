"""What `doctor` makes of each part's answer."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import snapshot, working_worker
from worker.cli import checks
from worker.core.photo import Stage

WELL = {"redis_version": "7.4.1", "aof_enabled": 1, "maxmemory_policy": "noeviction"}


@pytest.mark.parametrize(
    ("info", "skew_s", "part", "mark"),
    [
        (WELL, 0, "redis", "ok"),
        (WELL | {"redis_version": "6.2.14"}, 0, "redis", "bad"),
        (WELL | {"redis_version": "7.2.4", "valkey_version": "9.1.0"}, 0, "redis", "ok"),
        (WELL | {"aof_enabled": 0}, 0, "redis persistence", "note"),
        (WELL | {"maxmemory_policy": "allkeys-lru"}, 0, "redis eviction", "bad"),
        (WELL, 31.0, "clock", "note"),
        (WELL, -31.0, "clock", "note"),
    ],
)
def test_redis_is_judged_by_what_it_says_of_itself(info, skew_s, part, mark):
    found = {finding.part: finding for finding in checks.redis(info, skew_s)}
    assert found[part].mark == mark
    assert mark == "ok" or found[part].remedy


@pytest.mark.parametrize(
    ("picture", "part", "mark"),
    [
        (snapshot(), "workers", "note"),
        (snapshot(stages={Stage.DONE: 9}), "workers", "note"),
        (snapshot(stages={Stage.STORING: 1}), "workers", "bad"),
        (snapshot(workers=(working_worker(),), leader="one@host"), "workers", "ok"),
        (snapshot(workers=(working_worker(version="0.0.9"),)), "workers", "note"),
        (snapshot(workers=(working_worker(),)), "leader", "note"),
        (snapshot(paused_reason="the key is revoked"), "account", "bad"),
        (snapshot(stages={Stage.FAILED: 2}), "photos", "note"),
        (snapshot(stages={Stage.UNCERTAIN: 2}), "photos", "bad"),
        (snapshot(stages={Stage.PARKED: 2}), "photos", "note"),
    ],
)
def test_the_fleet_is_judged_by_its_picture(picture, part, mark):
    found = {finding.part: finding for finding in checks.fleet(picture)}
    assert found[part].mark == mark
    assert mark == "ok" or found[part].remedy
