"""`stagecrew gallery` as its user has it, on a real Redis and a real store."""

from __future__ import annotations

import asyncio
import hashlib
import html
import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from config.settings import Settings
from worker.cli import app
from worker.cli.doors import Doors
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import Request
from worker.core.step import Ending, Step
from worker.flow.dispatching import Orders
from worker.katalo.accounting import BillingEvent
from worker.services import open_account
from worker.storage.images import sniff
from worker.storage.latest import point_to
from worker.storage.manifest import write_outputs
from worker.storage.outputs import FetchedImage
from worker.storage.store import open_store

Stagecrew = Callable[..., Result]
NASTY = "<b>a/b & c"


@pytest.fixture
def stagecrew(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stagecrew:
    """Run a command as its user would, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*words: str) -> Result:
        result = CliRunner().invoke(app, list(words), obj=Doors(load_settings=lambda: settings))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def picture(folder: Path) -> Path:
    """Write a photo."""
    path = folder / "photo.jpg"
    Image.new("RGB", (60, 40), "olive").save(path)
    return path


def stage(settings: Settings, listing: str, photo: str, source: Path, *, pointed: bool = True) -> None:
    """Leave a staged photo in the store, as a worker does; the ledger knows nothing of it."""
    out = io.BytesIO()
    Image.new("RGB", (600, 400), "navy").save(out, "JPEG")
    kind = sniff(out.getvalue())
    assert kind is not None
    sha256 = hashlib.sha256(out.getvalue()).hexdigest()
    image = FetchedImage(data=out.getvalue(), kind=kind, sha256=sha256, width=600, height=400)

    async def live() -> None:
        store = open_store(settings.storage_url)
        manifest = await write_outputs(
            store,
            account="default",
            listing_id=listing,
            photo_id=photo,
            partner="acme",
            fingerprint="f",
            revision=3,
            request={"source": str(source), "style_preset": "modern", "room_types": ["Kitchen"]},
            source_sha256=None,
            job_id=f"gen_{photo}",
            source_asset_id=None,
            images=[("primary", image)],
            created_at="2026-05-04T03:01:01.5Z",
            staged_at="2026-05-04T03:02:01.5Z",
            metadata={},
        )
        if pointed:
            await point_to(store, manifest, accepted_ms=1)

    asyncio.run(live())


def fail_one(settings: Settings, source: Path) -> None:
    """Let one photo of a listing fail and another wait."""

    async def live() -> None:
        async with open_account(settings) as account:
            photos = tuple(
                NewPhoto(photo_id=name, request=Request(source=str(source)), metadata={}) for name in ("bath", "hall")
            )
            await account.ledger.enqueue([NewListing(listing_id=NASTY, partner="acme", photos=photos, metadata={})])
            # The account has never sent anything, so no budget has a window to wait for.
            await account.redis.set(f"{account.scripts.root}boot", 0)
            await account.admission.heartbeat("w", hands=1, busy=0, version="1")
            orders = await account.dispatching.dispatch("w")
            assert isinstance(orders, Orders)
            (sent,) = orders.photos
            batch = await account.ledger.open(sent.step, [(sent.key, sent.token)])
            code, message = "validation_error", "no such room"
            step = Step(ending=Ending.FAIL, stage=Stage.FAILED, error_code=code, error_message=message)
            await account.ledger.settle(batch.opened[0].photo, step)

    asyncio.run(live())


def bill(settings: Settings, job_id: str, amount: str) -> None:
    """Let a walk of the billing ledger have read a bill."""
    event = BillingEvent(
        event_id="e1",
        job_id=job_id,
        usage_type="staging",
        config_fingerprint=None,
        created_at="2026-05-04T03:01:01Z",
        source_asset_id=None,
        billable=True,
        amount_usd=Decimal(amount),
        unit_price_usd=Decimal(amount),
    )

    async def live() -> None:
        async with open_account(settings) as account:
            today = await account.scripts.now_ms() // 86_400_000
            await account.bills.keep(str(today), [event], None)

    asyncio.run(live())


def facts(page: str) -> str:
    """Return the text of a page without its pictures."""
    return html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)))


def test_a_listing_shows_what_is_staged_what_it_cost_what_failed_and_what_to_do(stagecrew, settings, tmp_path) -> None:
    source = picture(tmp_path)
    stage(settings, NASTY, "kitchen", source)
    stage(settings, NASTY, "loft", tmp_path / "gone.jpg", pointed=False)
    fail_one(settings, source)
    bill(settings, "gen_kitchen", "0.75")
    result = stagecrew("gallery", NASTY)
    assert result.exit_code == 0, result.output
    assert "4 photos on 1 page" in result.output
    page = Path("gallery.html").read_text()
    assert NASTY not in page, "it is escaped"
    told = facts(page)
    for part in (
        *(NASTY, "acme", "modern", "Kitchen", "gen_kitchen", "2026-05-04 03:01:01", "2026-05-04 03:02:01"),
        *("0.75 USD, as billed", "about 0.75 USD, by the last price", "failed: validation_error: no such room"),
        "stagecrew replay '<b>a/b & c/",
        *("gone.jpg", "It is on its way"),
    ):
        assert part in told
    # Two of the kitchen, one of the loft, one each of what is not staged.
    assert page.count("data:image/jpeg") == 5


def test_all_is_on_pages_that_lead_to_each_other(stagecrew, settings, tmp_path) -> None:
    source = picture(tmp_path)
    for listing in ("a", "b", "c"):
        for photo in ("1", "2"):
            stage(settings, listing, photo, source)
    result = stagecrew("gallery", "--all", "--per-page", "3", "--out", "new/all.html")
    assert result.exit_code == 0, result.output
    assert "6 photos on 2 pages" in result.output
    first, second = (Path("new", name).read_text() for name in ("all.html", "all-2.html"))
    assert "Page 1 of 2: 3 of 6 photos." in first
    assert 'href="all-2.html#listing-1">c<' in first
    assert 'href="all.html"' in second
    assert sorted(path.name for path in Path("new").iterdir()) == ["all-2.html", "all.html"], "nothing unfinished"


def test_a_listing_that_nobody_knows_is_said_so(stagecrew, settings, tmp_path) -> None:
    stage(settings, "known", "1", picture(tmp_path))
    result = stagecrew("gallery", "nobody", "known")
    assert result.exit_code == 1
    assert "nobody: neither the ledger nor the store knows such a listing" in result.stderr
    assert "1 photo on 1 page" in result.stdout
    assert stagecrew("gallery", "nobody").exit_code == 1


@pytest.mark.parametrize("words", [(), ("--all", "L")])
def test_gallery_wants_either_listings_or_all(stagecrew, words) -> None:
    assert stagecrew("gallery", *words).exit_code == 2


def test_a_store_that_was_left_is_named(stagecrew, settings, tmp_path) -> None:
    source = picture(tmp_path)
    stage(settings, "a", "1", source)
    for kept in (tmp_path / "output").rglob("primary.jpg"):
        kept.unlink()
    assert stagecrew("gallery", "--all").exit_code == 0
    assert "staged, but its picture is not in" in facts(Path("gallery.html").read_text())
