"""Two organisations in one fleet: real workers, one Redis, an API for each. What befalls one leaves the other alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.fleet.conftest import SPEED, Fleet
from worker.core.photo import NewListing, Stage
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import running_sandbox

FIRST_KEY = "kat_live_north.first-secret"
SECOND_KEY = "kat_live_north.second-secret"
SOUTH_KEY = "kat_live_south.own-secret"

Organisations = Callable[..., tuple[Fleet, Fleet]]


def write_accounts(crew: Fleet, south: Fleet, *, north_key: str) -> None:
    path = crew.folder / "accounts.toml"
    path.write_text(f"""
        [accounts.north]
        api_key = "{north_key}"
        base_url = "{crew.sandbox.base_url}"
        in_flight = 4

        [accounts.south]
        api_key = "{SOUTH_KEY}"
        base_url = "{south.sandbox.base_url}"
        in_flight = 12
        partners = ["partner-0", "partner-1", "partner-2"]
    """)
    path.chmod(0o600)


@pytest.fixture
def organisations(fleet: Callable[..., Fleet]) -> Iterator[Organisations]:
    """Build a fleet for `north` and `south`; each is returned as a fleet of its own, with the same workers."""
    with contextlib.ExitStack() as stack:

        def build(*, workers: int, **environ: str) -> tuple[Fleet, Fleet]:
            crew = fleet(workers=0, api_key=FIRST_KEY, in_flight=4)
            config = SandboxConfig(speed=SPEED, picture="tiny", api_key=SOUTH_KEY, in_flight=12)
            south = replace(crew, account="south", sandbox=stack.enter_context(running_sandbox(config)))
            north = replace(crew, account="north")
            write_accounts(north, south, north_key=FIRST_KEY)
            crew.environ.pop("KATALO_API_KEY")
            crew.environ |= {"STAGECREW_ACCOUNTS_FILE": str(crew.folder / "accounts.toml"), **environ}
            for one in (north, south):
                one._ask(lambda ledger: ledger.unused_api())
            for _ in range(workers):
                north.start_worker()
            return north, south

        yield build


def of(account: Fleet, listings: list[NewListing]) -> list[NewListing]:
    return [replace(listing, account=account.account) for listing in listings]


def secrets_in(text: str) -> list[str]:
    return [key for key in (FIRST_KEY, SECOND_KEY, SOUTH_KEY) if key.partition(".")[2] in text]


def test_each_account_keeps_its_own_limits_and_its_own_outputs(organisations: Organisations) -> None:
    north, south = organisations(workers=2)
    photos = north.photos(30)
    north.enqueue(of(north, photos))
    south.enqueue(of(south, photos))
    north.wait_for_all(30)
    south.wait_for_all(30)
    for one, slots in ((north, 4), (south, 12)):
        books = one.check_books(staged=30)
        assert books["jobs_created"] == 30, "the same record under another account is another photo"
        assert books["refused"] == {}, "not one call was refused"
        assert books["peak_in_flight"] == slots, "its own slots were full"
    keys = {job["reference"] for one in (north, south) for job in one.sandbox.books()["jobs"]}
    assert len(keys) == 60, "no idempotency key is used by two accounts"
    assert secrets_in(north.logs()) == []


def test_a_revoked_key_pauses_its_account_alone_and_a_new_one_in_the_file_is_taken_over(
    organisations: Organisations,
) -> None:
    north, south = organisations(workers=2)
    photos = north.photos(24)
    north.enqueue(of(north, photos))
    south.enqueue(of(south, photos))
    north.wait_for("jobs", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) > 0)
    north.sandbox.set_faults(reissued_key=SECOND_KEY)
    north.wait_for("the pause", lambda snapshot: snapshot.paused_reason is not None)
    south.wait_for_all(24)
    assert south.check_books(staged=24)["refused"] == {}
    assert south.snapshot().paused_reason is None
    halfway = north.snapshot()
    assert halfway.stages.get(Stage.FAILED, 0) == 0
    assert halfway.stages.get(Stage.DONE, 0) < 24, "its photos wait"
    write_accounts(north, south, north_key=SECOND_KEY)
    north.wait_for_all(24)
    assert north.check_books(staged=24)["jobs_created"] == 24
    assert "api key replaced" in north.logs()
    assert secrets_in(north.logs()) == []


def test_an_api_that_does_not_answer_holds_up_no_other_account(organisations: Organisations) -> None:
    north, south = organisations(workers=1, STAGECREW_HANDS="4")
    north.sandbox.set_faults(slow_ms=120_000)
    photos = north.photos(40)
    north.enqueue(of(north, photos))
    north.wait_for("all of its hands at work", lambda snapshot: snapshot.leases == 4)
    south.enqueue(of(south, photos))
    south.wait_for_all(40)
    assert south.check_books(staged=40)["refused"] == {}
    assert north.snapshot().stages.get(Stage.DONE, 0) == 0
    north.kill(north.workers[0])


def test_a_worker_that_knows_not_an_account_leaves_its_photos_to_others(
    organisations: Organisations,
) -> None:
    north, south = organisations(workers=0)
    stranger = dict(north.environ) | {
        "KATALO_API_KEY": SOUTH_KEY,
        "KATALO_BASE_URL": south.sandbox.base_url,
        "STAGECREW_ACCOUNTS_FILE": "",
    }
    replace(north, environ=stranger).start_worker()
    north._started += 1
    north.start_worker()
    north.enqueue(of(north, north.photos(12)))
    north.wait_for_all(12)
    assert north.check_books(staged=12)["jobs_created"] == 12
