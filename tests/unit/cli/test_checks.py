"""What `doctor` makes of each part's answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.cli.conftest import snapshot, working_worker
from worker.cli import checks
from worker.cli.finding import Check, bad, closing, lines, ok
from worker.cli.lateness_check import findings as lateness
from worker.core.photo import Stage
from worker.ledger.lateness import Late
from worker.ledger.snapshot import SinkView

WELL = {"redis_version": "7.4.1", "aof_enabled": 1, "maxmemory_policy": "noeviction"}


@pytest.mark.parametrize(
    ("info", "skew_s", "part", "mark"),
    [
        (WELL, 0, "redis", "ok"),
        (WELL | {"redis_version": "6.2.14"}, 0, "redis", "bad"),
        (WELL | {"redis_version": "7.2.4", "valkey_version": "9.1.0"}, 0, "redis", "ok"),
        (WELL | {"aof_enabled": 0}, 0, "redis persistence", "note"),
        (WELL | {"aof_last_write_status": "err"}, 0, "redis persistence", "bad"),
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
        (snapshot(workers=(working_worker(), working_worker("two@host", version="0.0.9"))), "workers", "note"),
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


def test_mixed_releases_are_counted():
    workers = (working_worker(version="0.3.0"), working_worker("two@host", version="0.2.0"))
    found = {finding.part: finding for finding in checks.fleet(snapshot(workers=workers))}
    assert found["workers"].text == "releases are mixed: 1 of 0.2.0, 1 of 0.3.0"


SINK = SinkView(
    name="crm",
    configured=True,
    waiting=3,
    listings=2,
    failing=0,
    oldest_ms=0,
    dead=0,
    delivered_total=9,
    dead_total=0,
    times_down=0,
    paused_ms=0,
    reason=None,
    pump=None,
)


@pytest.mark.parametrize(
    ("changes", "mark", "said"),
    [
        ({"configured": False}, "bad", "--forget"),
        ({"times_down": 2, "reason": "refused"}, "bad", "down, 3 messages wait: refused"),
        ({"failing": 1, "reason": "500"}, "note", "1 listing waiting to be tried again: 500"),
        ({"oldest_ms": 90_000}, "bad", "the oldest for 1:30; start workers"),
        ({"dead": 2}, "bad", "2 dead letters; `stagecrew failed --sink crm`"),
    ],
)
def test_a_sink_is_judged_by_what_waits_for_it(changes, mark, said):
    [found] = checks.outboxes(snapshot(sinks=(replace(SINK, **changes),)))
    assert (found.mark, found.part) == (mark, "sink crm")
    assert said in str(found)


@pytest.mark.parametrize(
    ("late", "mark", "said"),
    [
        ([], "ok", "no photo is late"),
        (
            [Late(what="poll_generation", count=1, late_ms=1_500_000, names=("L/a",))],
            "bad",
            "1 photo (L/a) due for 25:00",
        ),
        (
            [Late(what="leases", count=9, late_ms=700_000, names=("L/a", "L/b"))],
            "bad",
            "9 photos (L/a, L/b, ...) with a",
        ),
        ([Late(what="slots", count=1, late_ms=3_600_000, names=("L/a",))], "note", "in flight longer than jobs take"),
    ],
)
def test_late_photos_are_named_with_what_holds_them(late, mark, said):
    [found] = lateness(late)
    assert found.mark == mark
    assert said in str(found)


LONG = bad(Check.SINK, "down, 12 messages wait: nobody answers at its address", "it is tried again", subject="crm")


def test_a_finding_fits_a_terminal_and_stays_one_line_in_a_pipe():
    wrapped = lines(LONG, 60).splitlines()
    assert len(wrapped) > 1
    assert max(map(len, wrapped)) <= 60
    assert all(line.startswith("     ") for line in wrapped[1:])
    assert lines(LONG, None) == str(LONG)


def test_the_last_line_counts():
    assert closing([LONG, ok(Check.PYTHON, "x"), ok(Check.REDIS, "x")]) == "3 checks: 1 bad, 0 to note, 2 ok"
    assert closing([ok(Check.PYTHON, "x")]) == "1 checks, all is well"
