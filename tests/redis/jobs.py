"""Photos whose job is being created or runs, for the stories about webhooks."""

from __future__ import annotations

from tests.redis.conftest import Account
from worker.core.photo import Photo, Stage
from worker.core.routes import Route
from worker.flow.admission import Granted

ROOT = "sc1:{default}:"
#: Nothing of a story's own is due before.
FAR_MS = 100_000


async def creating(account: Account, key: str = "k", listing: str = "a", **more: str) -> Photo:
    """Return a photo whose create has been sent and not answered."""
    await account.enqueue(listing, 1)
    [sent] = await account.dispatch()
    await account.settle(await account.take(sent), Stage.INGESTED, fields={"source_asset_id": "src"})
    [sent] = await account.dispatch()
    photo = await account.take(sent)
    answer = await account.admit(
        photo,
        Route.GENERATIONS,
        takes_slot=True,
        intent={"body": "{}", "idempotency_key": key, **more},
        stage=Stage.CREATING,
    )
    assert isinstance(answer, Granted)
    return photo


async def generating(account: Account, job: str = "j", listing: str = "a") -> Photo:
    """Return a photo whose job runs and is not read for a long time."""
    photo = await creating(account, f"k-{job}", listing)
    fields = {"job_id": job, "created_ms": str(account.clock_ms)}
    await account.settle(photo, Stage.GENERATING, fields=fields, drop=("body", "sent_ms"), delay_ms=FAR_MS)
    return photo


async def next_photo(account: Account) -> Photo:
    """Return the photo that is sent out now."""
    [sent] = await account.dispatch()
    return await account.take(sent)


async def nothing_left(account: Account) -> None:
    """Check that no trace of jobs or leases is left."""
    assert await account.redis.hgetall(f"{ROOT}jobs") == {}  # type: ignore[misc]
    snapshot = await account.snapshot()
    assert (snapshot.slots_used, snapshot.leases) == (0, 0)
